"""What is asked of Istio, by version: the IstioOperators, and the overlays that go with them.

The files in `golden` are what each generation of Istio is given. `make goldens` writes them anew.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from wizard.istio import versions
from wizard.istio.operator import mesh_networks, operator_of, operator_yaml
from wizard.istio.overlays import conflicting_overlays, unreadable_overlays
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh

GOLDEN = Path(__file__).with_name("golden")
LAB_OVERLAY = Path(__file__).parents[1] / "lab/overlay.yaml"
GENERATIONS = ("1.9.9", "1.10.6", "1.14.6", "1.15.7", "1.22.8", "1.29.1")


def primary(number: int, **gateway: Any) -> Cluster:
    return Cluster(
        f"cluster{number}", f"admin{number}", f"network{number}", api_server=f"https://10.0.0.{number}:6443",
        gateway=Gateway(**({"exposure": "external-ips", "address": f"10.0.0.{number}"} | gateway)),
    )  # fmt: skip


def remote(number: int, of: str, **gateway: Any) -> Cluster:
    return replace(primary(number, **gateway), role="remote", primary=of)


def mesh(*clusters: Cluster, version: str = "1.29.1", **istio: Any) -> Mesh:
    return Mesh("mesh1", clusters, "primary-remote", istio=Istio(version=version, **istio))


PAIR = (primary(1), remote(2, "cluster1", exposure="node-port", port=31443))


@pytest.mark.parametrize("version", GENERATIONS)
@pytest.mark.parametrize("role", ["primary", "remote"])
def test_what_each_generation_is_given(version: str, role: str) -> None:
    of = mesh(*PAIR, version=version)
    text = operator_yaml(of, of.clusters[role == "remote"])
    file = GOLDEN / f"{version.rpartition('.')[0]}-{role}.yaml"
    if os.environ.get("MESHWIZARD_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def spec(of: Mesh, index: int, discovery: str | None = None) -> Any:
    return operator_of(of, of.clusters[index], discovery)["spec"]


@pytest.mark.parametrize(
    ("version", "profile", "injected"),
    [
        ("1.9.2", "minimal", False),
        ("1.14.6", "minimal", False),
        ("1.15.0", "external", True),
        ("1.16.0", "remote", True),
    ],
)
def test_a_remote_of_each_age(version: str, profile: str, injected: bool) -> None:
    wanted = spec(mesh(*PAIR, version=version), 1)
    assert wanted["profile"] == profile
    assert ("istiodRemote" in wanted["values"]) is injected
    assert wanted["values"]["global"]["remotePilotAddress"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("version", "flag", "env"),
    [("1.14.6", None, None), ("1.15.0", True, "true"), ("1.22.8", True, "true"), ("1.23.0", True, None)],
)
def test_a_primary_with_remotes_is_told_so(version: str, flag: bool | None, env: str | None) -> None:
    values = spec(mesh(*PAIR, version=version), 0)["values"]
    assert values["global"].get("externalIstiod") is flag
    assert values.get("pilot", {}).get("env", {}).get("EXTERNAL_ISTIOD") == env
    alone = mesh(primary(1), primary(2), version=version)
    assert "externalIstiod" not in spec(alone, 0)["values"]["global"]


@pytest.mark.parametrize("version", ["1.9.2", "1.10.6", "1.11.0", "1.29.1"])
def test_gateways_before_they_were_injected(version: str) -> None:
    wanted = spec(mesh(*PAIR, version=version), 0)
    names = {each["name"] for each in wanted["components"]["ingressGateways"][0]["k8s"]["env"]}
    old = version < "1.11" or version == "1.9.2"
    assert ("ISTIO_META_ROUTER_MODE" in names) is old
    assert ("gateways" in wanted["values"]) is not old


@pytest.mark.parametrize(
    ("gateway", "wanted"),
    [
        ({"exposure": "node-port", "port": 31443}, {"type": "NodePort"}),
        ({"exposure": "external-ips"}, {"type": "ClusterIP", "externalIPs": ["10.0.0.1"]}),
        ({"exposure": "cluster-ip-route", "address": "10.96.0.9"}, {"type": "ClusterIP", "clusterIP": "10.96.0.9"}),
        ({"exposure": "load-balancer", "address": None}, {"type": "LoadBalancer"}),
    ],
)
def test_the_gateways_service(gateway: dict[str, Any], wanted: dict[str, Any]) -> None:
    component = spec(mesh(primary(1, **gateway), primary(2)), 0)["components"]["ingressGateways"][0]
    service = component["k8s"]["service"]
    ports = {port["port"]: port.get("nodePort") for port in service.pop("ports")}
    assert service == wanted
    assert ports[15443] == gateway.get("port")
    labelled = gateway["exposure"] == "load-balancer"
    assert ("topology.istio.io/network" in component["label"]) is labelled


def test_a_gateway_has_one_source_of_truth() -> None:
    """In meshNetworks, or found by its label: what istiod finds is used beside what it is told."""
    found = primary(1, exposure="load-balancer", address=None)
    told = primary(2, exposure="load-balancer", address="lb.example.com")
    networks = mesh_networks(mesh(found, told, primary(3)))
    assert set(networks) == {"network2", "network3"}
    assert networks["network2"]["gateways"] == [{"address": "lb.example.com", "port": 15443}]


def test_clusters_of_one_network_need_no_gateways() -> None:
    flat = mesh(primary(1), replace(primary(2), network="network1"))
    assert mesh_networks(flat) == {}
    assert "components" not in spec(flat, 0)
    mixed = mesh(primary(1), replace(primary(2), network="network1"), primary(3))
    assert [each["fromRegistry"] for each in mesh_networks(mixed)["network1"]["endpoints"]] == ["cluster1", "cluster2"]
    assert len(mesh_networks(mixed)["network1"]["gateways"]) == 2


def test_a_remote_of_a_load_balanced_primary_learns_its_address_late() -> None:
    of = mesh(primary(1, exposure="load-balancer", address=None), remote(2, "cluster1"))
    address = spec(of, 1)["values"]["global"]["remotePilotAddress"]
    assert address.startswith("<")
    assert spec(of, 1, "10.9.9.9")["values"]["global"]["remotePilotAddress"] == "10.9.9.9"


def test_revision_and_pull_secret() -> None:
    wanted = spec(mesh(*PAIR, revision="canary", pull_secret="regcred"), 0)
    assert wanted["revision"] == "canary"
    assert wanted["values"]["global"]["imagePullSecrets"] == ["regcred"]


@pytest.mark.parametrize(
    ("istio", "kubernetes", "severity"),
    [
        ("1.9.2", 20, None), ("1.9.2", 21, "warning"), ("1.9.2", 22, "error"), ("1.13.0", 24, "error"), ("1.13.0", 25, "error"),
        ("1.14.0", 24, None), ("1.29.1", 34, None), ("1.29.1", 29, "error"), ("1.29.1", 36, "warning"),
    ],
)  # fmt: skip
def test_pairs_with_kubernetes(istio: str, kubernetes: int, severity: str | None) -> None:
    trouble = versions.kubernetes_trouble(istio, kubernetes)
    assert (trouble and trouble[0]) == severity


def test_what_was_proven_is_among_what_is_driven() -> None:
    assert all(versions.unsupported(f"{major}.{minor}.1") is None for major, minor in versions.PROVEN)
    assert versions.proven("1.29.1")
    assert not versions.proven("1.9.2")
    assert versions.remote_secret_command("1.11.8") == ("x", "create-remote-secret")
    assert versions.remote_secret_command("1.12.0") == ("create-remote-secret",)


# -- overlays


def overlaid(folder: Path, content: object, *more: Cluster) -> Mesh:
    file = folder / "extra.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return mesh(*PAIR, *more, overlays=(file,))


def operator(spec: object, **metadata: str) -> dict[str, Any]:
    return {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (operator({"profile": "demo"}), "spec.profile"),
        (operator({"hub": "other.example.com"}), "spec.hub"),
        (operator({"values": {"global": {"network": "mine"}}}), "spec.values.global.network"),
        (operator({"values": {"global": {"meshNetworks": {"network1": {"gateways": []}}}}}), "gateways"),
        (operator({"components": {"ingressGateways": [{"name": "istio-ingressgateway"}]}}), "ingressGateways"),
        (operator({}, name="mine"), "metadata.name"),
        (operator({}, namespace="elsewhere"), "metadata.namespace"),
        (operator({"meshConfig": {"trustDomain": "other.example"}}), "spec.meshConfig.trustDomain"),
        (operator({"revision": "mine"}), "spec.revision"),
        (operator({"values": {"revision": "mine"}}), "spec.values.revision"),
        (operator({"values": {"global": {"tag": "1.2.3"}}}), "spec.values.global.tag"),
        (operator({"values": {"global": {"hub": "other.example.com"}}}), "spec.values.global.hub"),
        (operator({"values": {"global": {"istioNamespace": "elsewhere"}}}), "spec.values.global.istioNamespace"),
        (operator({"values": {"global": {"meshNetworks": {"more": {}}}}}), "spec.values.global.meshNetworks"),
        (operator({"values": {"global": {"remotePilotAddress": "10.9.9.9"}}}), "spec.values.global.remotePilotAddress"),
        (operator({"components": {"pilot": {"namespace": "elsewhere"}}}), "spec.components.pilot.namespace"),
        (operator({"components": {"pilot": {"enabled": True}}}), "spec.components.pilot.enabled"),
        (operator({"unvalidatedValues": {"global": {"network": "mine"}}}), "spec.unvalidatedValues.global.network"),
        (operator({"unvalidatedValues": {"revision": "mine"}}), "spec.unvalidatedValues.revision"),
    ],
)
def test_an_overlay_that_contradicts_is_refused_by_name(tmp_path: Path, content: object, field: str) -> None:
    (mistake,) = conflicting_overlays(overlaid(tmp_path, content))
    assert mistake.path == "istio.overlays[0]"
    assert field in mistake.text
    assert "extra.yaml" in mistake.text


@pytest.mark.parametrize(
    "content",
    [
        operator({"meshConfig": {"accessLogFile": "/dev/stdout", "defaultConfig": {"proxyMetadata": {"A": "b"}}}}),
        operator({"components": {"pilot": {"k8s": {"replicaCount": 2}}, "egressGateways": [{"name": "e"}]}}),
        operator({"hub": "docker.io/istio", "values": {"global": {"meshID": "mesh1"}}}, name="meshwizard"),
        operator({"unvalidatedValues": {"global": {"meshID": "mesh1", "mine": 1}}, "tag": "1.29.1"}),
        operator(None),
    ],
)
def test_an_overlay_that_only_adds_goes_with_it(tmp_path: Path, content: object) -> None:
    of = overlaid(tmp_path, content)
    assert unreadable_overlays(of) == ()
    assert conflicting_overlays(of) == ()


def test_a_conflict_tells_both_values_and_whom_it_hits(tmp_path: Path) -> None:
    (mistake,) = conflicting_overlays(overlaid(tmp_path, operator({"values": {"global": {"network": "network1"}}})))
    for told in ("extra.yaml", "spec.values.global.network", "network1", "network2", "cluster2"):
        assert told in mistake.text


def test_the_meshs_own_revision_may_be_repeated(tmp_path: Path) -> None:
    of = overlaid(tmp_path, operator({"revision": "canary", "values": {"revision": "canary"}}))
    assert conflicting_overlays(replace(of, istio=replace(of.istio, revision="canary"))) == ()


@pytest.mark.parametrize(
    "content", ["a: [", "kind: ConfigMap\n", "", "kind: IstioOperator\nspec: []\nx: 1\n---\na: 1\n", "- 1"]
)
def test_an_overlay_that_is_none(tmp_path: Path, content: str) -> None:
    (mistake,) = unreadable_overlays(overlaid(tmp_path, content))
    assert "extra.yaml" in mistake.text


def test_the_overlay_of_the_lab_goes_with_it() -> None:
    of = mesh(*PAIR, overlays=(LAB_OVERLAY,))
    assert (unreadable_overlays(of), conflicting_overlays(of)) == ((), ())
