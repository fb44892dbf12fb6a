"""What the wizard writes is understood by real istioctls: every role and exposure, rendered. Needs no cluster."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.shape import Shape
from tests.lab.standing import LabOf
from wizard.istio.operator import operator_yaml
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh

EXPOSURES: dict[str, Gateway] = {
    "node-port": Gateway("node-port", "10.0.0.1", 31443),
    "external-ips": Gateway("external-ips", "10.0.0.1"),
    "load-balancer": Gateway("load-balancer"),
    "cluster-ip-route": Gateway("cluster-ip-route", "10.96.0.9", node="10.0.0.1"),
}


def mesh(gateway: Gateway, version: str, revision: str | None) -> Mesh:
    first = Cluster("cluster1", "one", "network1", api_server="https://10.0.0.1:6443", gateway=gateway)
    second = replace(
        first, name="cluster2", network="network2", role="remote", primary="cluster1", discovery="10.0.0.1"
    )
    return Mesh("mesh1", (first, second), "primary-remote", istio=Istio(version=version, revision=revision))


def rendered(lab: Lab, of: Mesh, index: int) -> dict[tuple[str, str], Any]:
    """(kind, name) → object, as istioctl would make them."""
    done = subprocess.run(
        [str(lab.istioctl), "manifest", "generate", "-f", "-"], input=operator_yaml(of, of.clusters[index]),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


@pytest.mark.parametrize("revision", [None, "canary"])
@pytest.mark.parametrize("exposure", EXPOSURES)
@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(shape, marks=pytest.mark.lab_shape(shape), id=shape.istio)
        for shape in (Shape(), Shape(istio="1.26.0"))
    ],
)
def test_istioctl_renders_it(lab_of: LabOf, shape: Shape, exposure: str, revision: str | None) -> None:
    lab = lab_of(shape, fresh=False)
    of = mesh(EXPOSURES[exposure], lab.istio, revision)
    suffix = f"-{revision}" if revision else ""
    primary, remote = rendered(lab, of, 0), rendered(lab, of, 1)
    assert ("Deployment", f"istiod{suffix}") in primary
    assert ("Deployment", f"istiod{suffix}") not in remote
    networks = yaml.safe_load(primary["ConfigMap", f"istio{suffix}"]["data"]["meshNetworks"])["networks"]
    assert set(networks) == (set() if exposure == "load-balancer" else {"network1", "network2"})
    for objects in (primary, remote):
        assert ("MutatingWebhookConfiguration", f"istio-sidecar-injector{suffix}") in objects
        service = objects["Service", "istio-eastwestgateway"]
        check_service(service, exposure)
    environment = primary["Deployment", f"istiod{suffix}"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "EXTERNAL_ISTIOD", "value": "true"} in environment
    slices = [
        each
        for (kind, name), each in remote.items()
        if kind in ("Endpoints", "EndpointSlice") and name == f"istiod{suffix}"
    ]
    assert "10.0.0.1" in yaml.safe_dump(slices)
    hooks = remote["MutatingWebhookConfiguration", f"istio-sidecar-injector{suffix}"]["webhooks"]
    assert all(hook["clientConfig"]["service"]["path"] == "/inject/cluster/cluster2/net/network2" for hook in hooks)


def check_service(service: Any, exposure: str) -> None:
    spec = service["spec"]
    ports = {port["port"]: port.get("nodePort") for port in spec["ports"]}
    labelled = "topology.istio.io/network" in service["metadata"]["labels"]
    told = (spec["type"], ports[15443], spec.get("externalIPs"), spec.get("clusterIP"), labelled)
    assert (
        told
        == {
            "node-port": ("NodePort", 31443, None, None, False),
            "external-ips": ("ClusterIP", None, ["10.0.0.1"], None, False),
            "load-balancer": ("LoadBalancer", None, None, None, True),
            "cluster-ip-route": ("ClusterIP", None, None, "10.96.0.9", False),
        }[exposure]
    )
