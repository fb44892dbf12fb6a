"""What several answers mean together: defaults that depend on others, and mistakes that only two fields make."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.mesh.document import mesh_from, mistakes_in
from wizard.mesh.rules import exposure_of, primary_of


def entry(number: int, **changes: Any) -> dict[str, Any]:
    return {"name": f"cluster{number}", "context": f"context{number}", "network": f"network{number}", **changes}


def remote(number: int, **changes: Any) -> dict[str, Any]:
    return entry(number, role="remote", **changes)


def document(*clusters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    topology = "primary-remote" if any(each.get("role") == "remote" for each in clusters) else "multi-primary"
    return {
        "apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "topology": topology,
        "clusters": list(clusters), **changes,
    }  # fmt: skip


def wrong(data: dict[str, Any]) -> list[str]:
    return [str(mistake) for mistake in mistakes_in(data)]


def test_a_remote_has_the_only_primary_unless_it_names_another() -> None:
    one = [entry(1), remote(2), remote(3, primary="cluster1")]
    assert [primary_of(each, one) for each in one] == [None, "cluster1", "cluster1"]
    two = [entry(1), entry(2), remote(3), remote(4, primary="cluster2")]
    assert [primary_of(each, two) for each in two] == [None, None, None, "cluster2"]


def test_an_exposure_left_open_needs_least() -> None:
    clusters = [entry(1), remote(2), entry(3), entry(4, gateway={"exposure": "load-balancer"})]
    clusters[1]["primary"] = "cluster1"
    assert [exposure_of(each, clusters) for each in clusters] == [
        "external-ips",
        "node-port",
        "node-port",
        "load-balancer",
    ]
    clusters[1]["discoveryAddress"] = "10.0.0.9"
    assert exposure_of(clusters[0], clusters) == "node-port"


def test_the_mesh_has_what_was_left_open() -> None:
    mesh = mesh_from(document(entry(1), remote(2), remote(3)))
    assert [(each.role, each.primary, each.gateway.exposure) for each in mesh.clusters] == [
        ("primary", None, "external-ips"),
        ("remote", "cluster1", "node-port"),
        ("remote", "cluster1", "node-port"),
    ]


def test_several_primaries_and_shared_networks_are_fine() -> None:
    shared = document(
        entry(1, network="lan"),
        entry(2, network="lan"),
        remote(3, network="lan", primary="cluster1"),
        remote(4, primary="cluster2"),
    )
    assert wrong(shared) == []


GATEWAY = "clusters[0].gateway"


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        (document(entry(1), entry(2), topology="primary-remote"), "topology", "at least one cluster with role: remote"),
        (document(entry(1), remote(2), topology="multi-primary"), "clusters[1].role", "needs topology: primary-remote"),
        (document(remote(1), remote(2)), "clusters", "every cluster is a remote"),
        (document(entry(1), entry(2), remote(3)), "clusters[2].primary", "cluster1, cluster2"),
        (document(entry(1), remote(2, primary="cluster9")), "clusters[1].primary", "'cluster9' is no primary"),
        (document(entry(1), remote(2), remote(3, primary="cluster2")), "clusters[2].primary", "'cluster2' is no primary"),
        (document(entry(1, primary="cluster2"), entry(2)), "clusters[0].primary", "only a remote has one"),
        (document(entry(1, discoveryAddress="10.0.0.1"), entry(2)), "clusters[0].discoveryAddress", "only a remote"),
        (document(entry(1, gateway={"exposure": "node-port"}), remote(2)), f"{GATEWAY}.exposure", "15012 and 15017"),
        (document(entry(1, gateway={"exposure": "external-ips", "port": 31443}), entry(2)), f"{GATEWAY}.port", "node-port"),
        (document(entry(1, gateway={"node": "10.0.0.1"}), entry(2)), f"{GATEWAY}.node", "only cluster-ip-route"),
        (document(entry(1, gateway={"address": "lb.example.com"}), entry(2)), f"{GATEWAY}.address", "load balancer"),
        (document(entry(1, serviceCidr="10.96.0.0/16", gateway={"exposure": "cluster-ip-route", "address": "10.97.0.1"}),
                  entry(2)), f"{GATEWAY}.address", "outside the Service CIDR"),
        (document(entry(1, gateway={"address": "10.0.0.1"}), entry(2, gateway={"address": "10.0.0.1"})),
         "clusters[1].gateway.address", "the gateway of cluster 1 already"),
        (document(entry(1, apiServer="https://a"), entry(2, apiServer="https://a")), "clusters[1].apiServer", "cluster 1"),
        (document(entry(1, sample="v2"), entry(2, sample="v2")), "clusters[1].sample", "cluster 1"),
        (document(entry(1), entry(2), certificates={"source": "directory"}), "certificates.path", "directory"),
        (document(entry(1), entry(2), certificates={"source": "offline"}), "certificates.path", "offline"),
        (document(entry(1), entry(2), istio={"pullSecretFile": "c.json"}), "istio.pullSecret", "the name of the Secret"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_does_not_go_together_is_refused_where_it_stands(data: dict[str, Any], path: str, said: str) -> None:
    found = mistakes_in(data)
    assert [mistake.path for mistake in found] == [path]
    assert said in found[0].text


@pytest.mark.parametrize("exposure", ["external-ips", "load-balancer", "cluster-ip-route"])
def test_what_can_serve_remotes_is_not_refused(exposure: str) -> None:
    assert wrong(document(entry(1, gateway={"exposure": exposure}), remote(2))) == []


def test_node_port_serves_remotes_that_ask_elsewhere() -> None:
    assert wrong(document(entry(1, gateway={"exposure": "node-port"}), remote(2, discoveryAddress="10.0.0.9"))) == []
