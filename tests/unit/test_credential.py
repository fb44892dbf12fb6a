"""What a remote secret says of a cluster, as istiod reads it, and what it will say before there is one."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.unit.conftest import Setting
from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref
from wizard.probes.credential import Credential, beforehand, in_secret
from wizard.simulated.cluster import SimulatedCluster

SERVER = "https://192.0.2.12:6443"
PEM = "-----BEGIN CERTIFICATE-----\n"
AUTHORITY = {"certificate-authority-data": base64.b64encode(PEM.encode()).decode()}
PUBLISHED = Ref(CONFIG_MAP, "kube-root-ca.crt", "kube-system")


def secret(**cluster: Any) -> Object:
    kubeconfig = {"clusters": [{"cluster": {"server": SERVER, **cluster}}], "users": [{"user": {"token": "abc"}}]}
    return {"data": {"two": base64.b64encode(yamltext.dump(kubeconfig).encode()).decode()}}


@pytest.mark.parametrize(
    ("cluster", "authority", "server_name"),
    [
        (AUTHORITY, PEM, ""),
        (AUTHORITY | {"tls-server-name": "two"}, PEM, "two"),
        ({}, "", ""),
        ({"insecure-skip-tls-verify": False}, "", ""),
        ({"insecure-skip-tls-verify": True}, None, ""),
    ],
)
def test_a_secret_says_whom_istiod_trusts(cluster: dict[str, Any], authority: str | None, server_name: str) -> None:
    assert in_secret(secret(**cluster), "two") == Credential(SERVER, authority, server_name, "abc")


def test_a_secret_without_this_cluster_says_nothing_of_it() -> None:
    assert in_secret(secret(), "three") is None
    assert in_secret({}, "two") is None
    assert in_secret(None, "two") is None


def test_a_token_is_not_printed() -> None:
    assert "abc" not in repr(in_secret(secret(), "two"))


def test_the_authority_that_a_cluster_publishes_is_known_beforehand(
    two: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = two.world.cluster("cluster2")
    live = cluster.get(PUBLISHED)
    assert live is not None
    assert beforehand(SERVER, cluster) == Credential(SERVER, live["data"]["ca.crt"])
    for change in (lambda item: item["data"].clear(), lambda item: item.pop("data")):
        two.machine(2).change(PUBLISHED, change)
        assert beforehand(SERVER, cluster) is None
    monkeypatch.setattr(SimulatedCluster, "get", lambda *_: None)
    assert beforehand(SERVER, cluster) is None
