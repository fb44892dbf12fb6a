"""The check `cacerts-late`."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from tests.unit.trust_fakes import cacerts_of, intermediate, keep_root, other_root, put_cacerts
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.objects.cacerts import CACERTS

BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_of_an_istiod_that_was_started_after_its_secret_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), "cacerts-late") == []


def late(made: Setting) -> None:
    """cluster2's istiod made a root of its own, before it was given the mesh's."""
    machine = made.machine(2)
    machine.signs_for = other_root("own").certificate
    put_cacerts(made, 2, cacerts_of(made, 2))


def test_the_secret_is_named_and_what_is_to_be_started_anew() -> None:
    made = finished_mesh()
    late(made)
    cause = whole(made).cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == ("cacerts-late", "cluster2", "Secret cacerts in istio-system")
    assert set(cause.breaks) == BOTH
    at = "kubectl --context=kubernetes-admin2@kubernetes"
    assert cause.commands == (
        f"{at} -n istio-system rollout restart deployment/istiod",
        f"{at} -n istio-system rollout status deployment/istiod",
        f"{at} -n istio-system rollout restart deployment -l 'app!=istiod'",
        f"{at} -n sample rollout restart deployment",
    )
    assert [each.check for each in whole(made).findings if each.severity == "error"] == ["cacerts-late"]


def test_a_root_that_nobody_else_has_is_an_error_that_breaks_nothing_yet() -> None:
    made = finished_mesh()
    keep_root(made, 2)
    put_cacerts(made, 2, intermediate(other_root()))
    diagnosis = whole(made)
    assert diagnosis.proven
    (told,) = [each for each in diagnosis.findings if each.severity == "error"]
    assert (told.check, told.cluster, told.breaks) == ("cacerts-late", "cluster2", ())
    assert "cluster1 do not trust it: once istiod starts anew" in told.text
    assert told.commands == ()
    assert "Put back" in told.remedy


def test_where_no_istiod_runs_nothing_is_known() -> None:
    made = finished_mesh()
    late(made)
    made.machine(2).change(
        Ref(DEPLOYMENT, "istiod", "istio-system"), lambda deployment: deployment["spec"].update(replicas=0)
    )
    assert found(made, "cacerts-late") == []


def test_what_istiod_made_itself_it_may_change_itself() -> None:
    made = finished_mesh()
    late(made)
    secret = {"istio-generated": base64.b64encode(b"yes").decode()}
    made.machine(2).change(CACERTS, lambda live: live["data"].update(secret))
    assert found(made, "cacerts-late") == []
