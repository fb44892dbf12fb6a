"""The check `roots`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from tests.unit.trust_fakes import DISTRIBUTED, cacerts_of, intermediate, keep_root, other_root, put_cacerts
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.objects.cacerts import CACERTS

OTHER = other_root()
BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_of_clusters_with_one_root_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), "roots") == []


def test_the_cluster_whose_root_is_newer_is_named_with_the_way_on() -> None:
    made = finished_mesh()
    put_cacerts(made, 2, intermediate(other_root()))
    diagnosis = whole(made)
    cause = diagnosis.cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object) == ("roots", "cluster2", "Secret cacerts in istio-system")
    assert set(cause.breaks) == BOTH
    assert "not that of cluster1" in cause.text
    assert cause.commands[0].endswith("-n istio-system rollout restart deployment/istiod")
    assert len({line.rpartition(": ")[2] for line in cause.evidence}) == 2
    assert [each.cluster for each in diagnosis.findings if each.check == "roots"] == ["cluster2"]


def test_of_more_the_one_that_stands_alone_is_named() -> None:
    made = finished_mesh(3)
    put_cacerts(made, 1, intermediate(other_root(), "cluster1"))
    (told,) = found(made, "roots")
    assert told.cluster == "cluster1"
    assert set(told.breaks) == {
        ("cluster1", "cluster2"), ("cluster2", "cluster1"), ("cluster1", "cluster3"), ("cluster3", "cluster1")
    }  # fmt: skip


def test_of_more_the_one_that_stands_alone_is_named_though_its_root_is_older() -> None:
    made = finished_mesh(3)
    for number in (2, 3):
        put_cacerts(made, number, intermediate(OTHER, f"cluster{number}"))
    assert [each.cluster for each in found(made, "roots")] == ["cluster1"]


def test_an_istiod_to_which_none_was_given_is_named_though_its_root_is_older() -> None:
    made = finished_mesh()
    made.machine(1).store.remove(CACERTS)
    (told,) = found(made, "roots")
    assert told.cluster == "cluster1"
    assert "no Secret cacerts in istio-system was given to istiod" in told.text
    assert set(told.breaks) == BOTH


def bundle(made: Setting, number: int, *, first: bool) -> None:
    """Both roots are trusted in that cluster, and the old or the new one signs."""
    files = cacerts_of(made, number)
    old, new = files, intermediate(OTHER, f"cluster{number}")
    both = old["root-cert.pem"] + new["root-cert.pem"]
    put_cacerts(made, number, {**(old if first else new), "root-cert.pem": both})


def test_roots_that_are_changed_with_both_in_the_bundle_trust_each_other() -> None:
    made = finished_mesh()
    bundle(made, 1, first=True)
    assert found(made, "roots") == []
    bundle(made, 2, first=False)
    assert found(made, "roots") == []


def test_a_bundle_with_the_root_that_signs_nowhere_is_not_enough() -> None:
    made = finished_mesh()
    bundle(made, 1, first=True)
    put_cacerts(made, 2, intermediate(OTHER))
    (told,) = found(made, "roots")
    assert told.cluster == "cluster2"


def test_one_that_only_was_not_started_anew_is_told_elsewhere() -> None:
    made = finished_mesh()
    keep_root(made, 2)
    put_cacerts(made, 2, intermediate(other_root()))
    assert found(made, "roots") == []


def test_a_remote_with_another_root_than_its_primary_is_named() -> None:
    made = finished_remote()
    made.machine(1).store.remove(Ref(DEPLOYMENT, "istiod", "istio-system"))
    made.machine(1).settle()
    other = other_root().certificate.decode()
    made.machine(2).change(DISTRIBUTED, lambda config: config["data"].update({"root-cert.pem": other}))
    (told,) = found(made, "roots")
    assert (told.cluster, told.object) == ("cluster2", "ConfigMap istio-ca-root-cert in istio-system")
    assert set(told.breaks) == BOTH
    assert told.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n istio-system delete configmap istio-ca-root-cert",
    )


def test_of_a_cluster_that_does_not_answer_the_others_say_nothing() -> None:
    made = finished_mesh(3)
    made.machine(3).unreachable = True
    trust = {"roots", "cacerts", "cacerts-late", "trust-domain"}
    assert [each for each in whole(made).findings if each.check in trust] == []
    made = finished_remote()
    made.machine(1).unreachable = True
    assert [each for each in whole(made).findings if each.check in trust] == []
