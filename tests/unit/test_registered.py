"""What secrets that are none of a mesh's have its istiod read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.unit.cluster_fakes import Holding, thing
from wizard.clusters.kinds import SECRET, Object
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.registered import Registered, strangers

MESH = Mesh("mesh1", tuple(Cluster(f"cluster{number}", "c", "n") for number in (1, 2)))
SERVER = "https://192.0.2.44:6443"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KUBECONFIG = encoded(json.dumps({"clusters": [{"cluster": {"server": SERVER}}]}))


def secret(name: str, data: object, *managers: str) -> Object:
    labels = {"istio/multiCluster": "true"}
    return thing(SECRET, name, SYSTEM_NAMESPACE, labels=labels, managers=managers, data=data)


def told(*secrets: Object) -> list[Registered]:
    cluster: Any = Holding(*secrets)
    return list(strangers(MESH, MESH.clusters[0], cluster))


def test_the_peers_of_the_mesh_are_no_strangers() -> None:
    assert told(secret("istio-remote-secret-cluster2", {"cluster2": KUBECONFIG}, "meshwizard")) == []


def test_each_key_is_a_cluster_with_its_address_and_who_wrote_it_first() -> None:
    assert told(secret("by-hand", {"gone": KUBECONFIG, "cluster2": KUBECONFIG}, "kubectl-create", "helm")) == [
        Registered("by-hand", "gone", SERVER, "kubectl-create"),
        Registered("by-hand", "cluster2", SERVER, "kubectl-create"),
    ]


@pytest.mark.parametrize("content", ["!", encoded("[]"), encoded("clusters: []"), encoded("{"), None])
def test_an_address_that_cannot_be_read_is_no_reason_to_be_silent(content: str | None) -> None:
    assert told(secret("odd", {"gone": content})) == [
        Registered("odd", "gone", "an address that cannot be read", "somebody else")
    ]


def test_a_secret_without_keys_registers_nothing() -> None:
    assert told(secret("empty", None)) == []
