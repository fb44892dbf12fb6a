"""The check `mtls`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, mesh_of, put
from wizard.clusters.kinds import PEER_AUTHENTICATION

OFF = {"mtls": {"mode": "DISABLE"}}
BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, PEER_AUTHENTICATION)


@pytest.mark.parametrize(
    "spec", [{}, {"mtls": {"mode": "STRICT"}}, {"mtls": {"mode": "UNSET"}}, {"mtls": {"mode": "PERMISSIVE"}}]
)
def test_of_mutual_tls_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 1, PEER_AUTHENTICATION, spec)
    put(made, 2, PEER_AUTHENTICATION, spec, namespace="istio-system")
    assert found(made, "mtls") == []


@pytest.mark.parametrize("namespace", ["sample", "istio-system"])
def test_either_sides_istiod_may_switch_it_off(made: Setting, namespace: str) -> None:
    put(made, 1, PEER_AUTHENTICATION, OFF, namespace=namespace)
    (finding,) = found(made, "mtls")
    assert (finding.severity, finding.cluster) == ("error", "cluster1")
    assert finding.object == f"PeerAuthentication theirs in {namespace}"
    assert set(finding.breaks) == BOTH
    assert finding.commands == (
        f"kubectl --context=kubernetes-admin1@kubernetes -n {namespace} edit peerauthentications.security.istio.io theirs",
    )


def test_only_the_pods_that_it_selects_count(made: Setting) -> None:
    put(made, 1, PEER_AUTHENTICATION, {**OFF, "selector": {"matchLabels": {"version": "v2"}}})
    (finding,) = found(made, "mtls")
    assert set(finding.breaks) == {("cluster1", "cluster2")}


def test_one_for_the_client_or_of_another_namespace_is_none_of_ours(made: Setting) -> None:
    put(made, 1, PEER_AUTHENTICATION, {**OFF, "selector": {"matchLabels": {"app": "curl"}}})
    put(made, 1, PEER_AUTHENTICATION, OFF, namespace="default")
    put(
        made,
        1,
        PEER_AUTHENTICATION,
        {**OFF, "selector": {"matchLabels": {"app": "helloworld"}}},
        namespace="istio-system",
    )
    put(made, 1, PEER_AUTHENTICATION, OFF, name="others", labels={"istio.io/rev": "other"})
    assert found(made, "mtls") == []


def test_what_is_nearer_decides(made: Setting) -> None:
    put(made, 1, PEER_AUTHENTICATION, OFF, namespace="istio-system")
    put(made, 1, PEER_AUTHENTICATION, {"mtls": {"mode": "STRICT"}})
    assert found(made, "mtls") == []
    of_port = {"selector": {"matchLabels": {"app": "helloworld"}}, "portLevelMtls": {"5000": {"mode": "DISABLE"}}}
    put(made, 1, PEER_AUTHENTICATION, of_port, name="near")
    assert [each.object for each in found(made, "mtls")] == ["PeerAuthentication near in sample"]


def test_a_remote_is_told_by_its_primary_alone() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 2, PEER_AUTHENTICATION, OFF)
    assert found(made, "mtls") == []
    put(made, 1, PEER_AUTHENTICATION, OFF)
    (finding,) = found(made, "mtls")
    assert (finding.cluster, set(finding.breaks)) == ("cluster1", BOTH)


def test_on_one_network_only_who_is_told_by_another_istiod_is_broken() -> None:
    made = mesh_of([None, None], ["network1", "network1"])
    put(made, 1, PEER_AUTHENTICATION, OFF)
    (finding,) = found(made, "mtls")
    assert finding.breaks == (("cluster2", "cluster1"),)


@pytest.mark.parametrize("spec", [{"mtls": "DISABLE"}, {"mtls": {"mode": ["DISABLE"]}}, {"selector": []}])
def test_what_has_no_meaning_is_passed_over(made: Setting, spec: object) -> None:
    put(made, 1, PEER_AUTHENTICATION, spec)
    assert found(made, "mtls") == []
