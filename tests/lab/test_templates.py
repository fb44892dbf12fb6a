"""What the wizard writes is understood by real istioctls: every role and exposure, rendered. Needs no cluster."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab import build
from tests.lab.settings import from_environment
from tests.lab.shape import Shape
from wizard import yamltext
from wizard.istio.operator import operator_yaml
from wizard.istio.overlays import conflicting_overlays
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh

pytestmark = pytest.mark.usefixtures("lab_host")
VERSIONS = [pytest.param(v, marks=pytest.mark.lab_shape(Shape(istio=v)), id=v) for v in ("1.29.1", "1.26.0")]
EXPOSURES: dict[str, Gateway] = {
    "node-port": Gateway("node-port", "10.0.0.1", 31443),
    "external-ips": Gateway("external-ips", "10.0.0.1"),
    "load-balancer": Gateway("load-balancer"),
    "load-balancer-given": Gateway("load-balancer", "10.0.0.9"),
    "cluster-ip-route": Gateway("cluster-ip-route", "10.96.0.9", node="10.0.0.1"),
}
LAB_OVERLAY = Path(__file__).with_name("overlay.yaml")
Objects = dict[tuple[str, str], Any]


def mesh(gateway: Gateway, version: str, **istio: Any) -> Mesh:
    first = Cluster("cluster1", "one", "network1", api_server="https://10.0.0.1:6443", gateway=gateway)
    second = replace(
        first, name="cluster2", network="network2", role="remote", primary="cluster1", discovery="10.0.0.1"
    )
    return Mesh("mesh1", (first, second), "primary-remote", istio=Istio(version=version, **istio))


def rendered(of: Mesh, index: int, overlays: Sequence[Path] = ()) -> Objects:
    """(kind, name) → object, as istioctl would make them."""
    istioctl = build.istio(from_environment().cache, str(of.istio.version)) / "istioctl"
    files = [argument for path in overlays for argument in ("-f", str(path))]
    done = subprocess.run(
        [str(istioctl), "manifest", "generate", *files, "-f", "-"], input=operator_yaml(of, of.clusters[index]),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    objects = [each for each in yamltext.load_all(done.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def names(objects: Objects, *kinds: str) -> set[str]:
    return {name for kind, name in objects if kind in kinds}


@pytest.mark.parametrize("revision", [None, "canary"])
@pytest.mark.parametrize("exposure", EXPOSURES)
@pytest.mark.parametrize("version", VERSIONS)
def test_istioctl_renders_it(version: str, exposure: str, revision: str | None) -> None:
    of = mesh(EXPOSURES[exposure], version, revision=revision)
    istiod = f"istiod-{revision}" if revision else "istiod"
    injector = istiod.replace("istiod", "istio-sidecar-injector")
    primary, remote = rendered(of, 0), rendered(of, 1)
    assert names(primary, "Deployment") == {istiod, "istio-eastwestgateway"}
    assert names(remote, "Deployment") == {"istio-eastwestgateway"}
    config = primary["ConfigMap", istiod.replace("istiod", "istio")]
    networks = yamltext.load(config["data"]["meshNetworks"])["networks"]
    assert set(networks) == (set() if exposure == "load-balancer" else {"network1", "network2"})
    for cluster, objects in zip(of.clusters, (primary, remote), strict=True):
        assert ("MutatingWebhookConfiguration", injector) in objects
        # Without these nobody could read the cluster, nor say what its sidecars do.
        assert ("ServiceAccount", "istio-reader-service-account") in objects
        assert ("CustomResourceDefinition", "gateways.networking.istio.io") in objects
        check_gateway(objects, exposure, cluster.network, serves=cluster.role == "primary")
    environment = primary["Deployment", istiod]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "EXTERNAL_ISTIOD", "value": "true"} in environment
    ports = {port["port"]: port.get("targetPort", port["port"]) for port in remote["Service", istiod]["spec"]["ports"]}
    assert ports == {15012: 15012, 443: 15017}
    (endpoints,) = [each for (kind, name), each in remote.items() if kind.startswith("Endpoint") and name == istiod]
    assert "10.0.0.1" in yamltext.dump(endpoints)
    hooks = remote["MutatingWebhookConfiguration", injector]["webhooks"]
    assert all(hook["clientConfig"]["service"]["path"] == "/inject/cluster/cluster2/net/network2" for hook in hooks)


def check_gateway(objects: Objects, exposure: str, network: str, *, serves: bool) -> None:
    service = objects["Service", "istio-eastwestgateway"]
    spec = service["spec"]
    ports = {port["port"]: port.get("nodePort") for port in spec["ports"]}
    health = {15021} if spec["type"] == "LoadBalancer" else set()
    assert ports.keys() == {15443, *health, *({15012, 15017} if serves else ())}
    assert service["metadata"]["annotations"]["galley.istio.io/analyze-suppress"] == "IST0170"
    label = service["metadata"]["labels"].get("topology.istio.io/network")
    told = (spec["type"], ports[15443], spec.get("externalIPs"), spec.get("clusterIP"), label)
    assert (
        told
        == {
            "node-port": ("NodePort", 31443, None, None, None),
            "external-ips": ("ClusterIP", None, ["10.0.0.1"], None, None),
            "load-balancer": ("LoadBalancer", None, None, None, network),
            "load-balancer-given": ("LoadBalancer", None, None, None, None),
            "cluster-ip-route": ("ClusterIP", None, None, "10.96.0.9", None),
        }[exposure]
    )
    template = objects["Deployment", "istio-eastwestgateway"]["spec"]["template"]
    assert spec["selector"].items() <= template["metadata"]["labels"].items()
    environment = template["spec"]["containers"][0]["env"]
    assert {"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": network} in environment
    assert template["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_private_registry(version: str) -> None:
    of = mesh(EXPOSURES["external-ips"], version, hub="registry.example.com/istio", pull_secret="regcred")
    for index in (0, 1):
        objects = rendered(of, index)
        accounts = [each for (kind, _), each in objects.items() if kind == "ServiceAccount"]
        assert all(each["imagePullSecrets"] == [{"name": "regcred"}] for each in accounts)
    assert "registry.example.com/istio/pilot" in yamltext.dump(rendered(of, 0)["Deployment", "istiod"])


@pytest.mark.parametrize("version", VERSIONS)
def test_istiod_by_a_host_name(version: str) -> None:
    of = mesh(EXPOSURES["external-ips"], version)
    of = of.with_cluster(replace(of.clusters[1], discovery="istiod.example.com"))
    objects = rendered(of, 1)
    spec = objects["Service", "istiod"]["spec"]
    assert (spec["type"], spec["externalName"]) == ("ExternalName", "istiod.example.com")
    assert not names(objects, "Endpoints", "EndpointSlice")


@pytest.mark.parametrize("version", VERSIONS)
def test_one_network_has_no_gateways(version: str) -> None:
    one = Cluster("cluster1", "one", "network1", api_server="https://10.0.0.1:6443")
    of = Mesh("mesh1", (one, replace(one, name="cluster2")), istio=Istio(version=version))
    assert names(rendered(of, 0), "Deployment") == {"istiod"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_overlay_that_goes_with_it_survives(version: str, tmp_path: Path) -> None:
    extra = overlay(tmp_path, {"components": {"egressGateways": [{"name": "out", "enabled": True}]}})
    of = mesh(EXPOSURES["external-ips"], version, overlays=(LAB_OVERLAY, extra))
    assert conflicting_overlays(of) == ()
    objects = rendered(of, 0, of.istio.overlays)
    assert {"out", "istiod", "istio-eastwestgateway"} <= names(objects, "Deployment")
    assert "PILOT_ENABLE_ALPN_FILTER" in yamltext.dump(objects["Deployment", "istiod"])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("spec", "lost"),
    [
        # What istioctl does with each, and why the wizard must refuse it: a list is replaced, the others win over ours.
        ({"components": {"ingressGateways": [{"name": "mine", "enabled": True}]}}, ("Deployment", "mine")),
        ({"revision": "mine"}, ("Deployment", "istiod")),
        ({"values": {"revision": "mine"}}, ("Deployment", "istiod")),
        ({"unvalidatedValues": {"revision": "mine"}}, ("Deployment", "istiod")),
        ({"components": {"pilot": {"enabled": False}}}, ("Deployment", "istiod")),
    ],
)
def test_an_overlay_that_is_refused_would_do_harm(
    version: str, spec: object, lost: tuple[str, str], tmp_path: Path
) -> None:
    of = mesh(EXPOSURES["external-ips"], version, overlays=(overlay(tmp_path, spec),))
    assert conflicting_overlays(of)
    assert lost not in rendered(of, 0, of.istio.overlays)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "spec",
    [
        {"unvalidatedValues": {"global": {"network": "mine"}}},
        {"values": {"global": {"hub": "mine"}}},
        {"values": {"global": {"istioNamespace": "mine"}}},
        {"values": {"global": {"meshNetworks": {"mine": {"endpoints": [], "gateways": []}}}}},
        {"components": {"pilot": {"namespace": "mine"}}},
    ],
)
def test_an_overlay_that_is_refused_would_win(version: str, spec: object, tmp_path: Path) -> None:
    of = mesh(EXPOSURES["external-ips"], version, overlays=(overlay(tmp_path, spec),))
    assert conflicting_overlays(of)
    assert "mine" in yamltext.dump(list(rendered(of, 0, of.istio.overlays).values()))


def overlay(folder: Path, spec: object) -> Path:
    file = folder / "extra.yaml"
    file.write_text(yamltext.dump({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}))
    return file
