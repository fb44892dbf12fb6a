"""Long names in few cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.cells import cell_len

from screens.apart import told_apart

pytestmark = pytest.mark.inputs("42")
EKS = [f"arn:aws:eks:eu-central-1:123456789012:cluster/{name}" for name in ("shop-prod", "shop-test", "pay-prod")]
GKE = ["gke_my-company-platform-prod_europe-west4-a_mesh-1", "gke_my-company-platform-test_europe-west4-a_mesh-1"]


@pytest.mark.parametrize("width", [18, 27, 40])
def test_the_end_and_what_differs_are_seen(width: int) -> None:
    assert [name[-5:] for name in told_apart(EKS, width)] == [name[-5:] for name in EKS]
    first, second = told_apart(GKE, width)
    assert first != second
    assert ("prod" in first, "test" in second) == (True, True)


def test_what_fits_stays_whole() -> None:
    assert told_apart(["kind-a", "kind-b"], 18) == ["kind-a", "kind-b"]


def test_the_same_name_twice_is_numbered() -> None:
    assert told_apart(["kubernetes-admin@kubernetes"] * 2, 18) == ["kubernet…ubernetes", "kubernet…ubernet~2"]


def test_wide_characters_take_two_cells() -> None:
    assert all(cell_len(name) <= 18 for name in told_apart(["集群" * 20 + "一", "集群" * 20 + "二"], 18))


names = some.lists(some.text(some.sampled_from("ab-集😀"), max_size=40), max_size=12)


@given(names, some.integers(8, 40))
def test_no_two_are_alike_and_none_is_too_wide(given_names: list[str], width: int) -> None:
    shown = told_apart(given_names, width)
    assert len(set(shown)) == len(given_names)
    assert all(cell_len(name) <= width for name in shown)
