"""What a real cluster is like is asked, not assumed: what Istio's own tool says of a finished mesh, versions, and NodePorts."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.proc import wait_for
from tests.lab.wizard import Wizard, assert_verified

pytestmark = [pytest.mark.lab, pytest.mark.in_order]
SHOP = ("-n", "shop", "-o", "json")


@pytest.fixture(scope="module")
def wizard(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wizard]:
    made = Wizard(module_lab, tmp_path_factory.mktemp("home"))
    applied = made.apply()
    assert applied.code == 0, applied.text
    yield made


def analyzed(wizard: Wizard, *words: str) -> list[str]:
    """The warnings and errors of `istioctl analyze`."""
    done = subprocess.run(
        [
            str(wizard.lab.istioctl), "analyze", "-A", "-o", "json", "--kubeconfig", str(wizard.lab.kubeconfig),
            "--context", "cluster1", *words,
        ],
        env=wizard.environment, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout or "[]") or []
    assert told or done.returncode == 0, done.stderr
    return [f"{each['code']} {each.get('origin')}: {each['message']}" for each in told if each["level"] != "Info"]


@pytest.mark.inputs("22b")
def test_istios_own_tool_has_nothing_to_warn_of(wizard: Wizard) -> None:
    assert analyzed(wizard) == []
    assert analyzed(wizard, "--remote-contexts", "cluster2") == []
    services = [
        json.loads(cluster.kubectl("get", "service", "istio-eastwestgateway", "-n", "istio-system", "-o", "json"))
        for cluster in wizard.lab.clusters
    ]
    first, second = [
        [(port["port"], port.get("nodePort")) for port in service["spec"]["ports"]] for service in services
    ]
    assert first == second
    assert [port for port, _ in first] == [15443], "no port that no role needs"


def versioned(wizard: Wizard, version: str) -> Path:
    """An istioctl that says it is of that version."""
    path = wizard.home / f"istioctl-{version}"
    told = json.dumps({"clientVersion": {"version": version}})
    path.write_text(
        f'#!/bin/sh\nif [ "$1" = version ]; then echo \'{told}\'; else exec {wizard.lab.istioctl} "$@"; fi\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.inputs("18")
@pytest.mark.parametrize("version", ["1.26.0", "1.31.0"])
def test_a_step_over_several_versions_needs_consent(wizard: Wizard, version: str) -> None:
    marks = [cluster.audit_mark() for cluster in wizard.lab.clusters]
    file, istioctl = str(wizard.meshfile), str(versioned(wizard, version))
    plan = wizard.run("plan", "-f", file, "--istioctl", istioctl)
    assert plan.code == 3, plan.text
    ran = wizard.run("apply", "-f", file, "--istioctl", istioctl)
    assert ran.code == 3, ran.text
    assert "--version-step" in ran.text
    assert version in ran.text
    for cluster, mark in zip(wizard.lab.clusters, marks, strict=True):
        assert [entry for entry in cluster.work(mark) if entry["objectRef"]["resource"] == "deployments"] == []
    again = wizard.run("apply", "-f", file, "--istioctl", str(wizard.lab.istioctl))  # else the last one counts
    assert again.code == 0, again.text


def shop(cluster: Cluster, tag: str) -> None:
    """Somebody's own Deployment, whose sidecar is of that version (and cannot be pulled, which does not matter here)."""
    labels = {"app": "shop"}
    annotations = {"sidecar.istio.io/proxyImage": f"registry.lab/istio/proxyv2:{tag}"}
    container = {"name": "shop", "image": "registry.lab/shop:1", "command": ["sleep", "infinity"]}
    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}},
        },
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]},
                },
            },
        },
    ]  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    wait_for("the shop's Pod", lambda: pods(cluster), timeout=60)


def pods(cluster: Cluster) -> list[str]:
    return [item["metadata"]["uid"] for item in json.loads(cluster.kubectl("get", "pods", *SHOP))["items"]]


@pytest.mark.inputs("18")
def test_old_proxies_of_others_are_named_and_left_alone(wizard: Wizard) -> None:
    cluster = wizard.lab.clusters[0]
    shop(cluster, "1.28.3")
    before = pods(cluster)
    status = wizard.run("status", "--json")
    assert status.code == 1, status.text
    differing = [step for step in status.json["steps"] if step["state"] != "done"]
    assert [step["id"] for step in differing] == ["cluster1/proxies"]
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert "-n shop rollout restart deployment/shop" in ran.text
    assert pods(cluster) == before
    cluster.kubectl("delete", "namespace", "shop", "--wait=true", timeout=180)
    again = wizard.apply()
    assert again.code == 0, again.text


# The last one: it has a lab of its own, in which the mesh of the others does not stand.
@pytest.mark.inputs("16")
def test_other_node_ports(fresh_lab: Lab, tmp_path: Path) -> None:
    for cluster in fresh_lab.clusters:
        cluster.stop_apiserver()
        cluster.start_apiserver("--service-node-port-range=20000-22767")
    wizard = Wizard(fresh_lab, tmp_path / "first")
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert "20000-22767" in ran.text
    assert "gateway.port" in ran.text
    for cluster in fresh_lab.clusters:
        assert cluster.kubectl("get", "deployments", "-n", "istio-system", "-o", "name", check=False).strip() == ""
        assert "meshwizard-range" not in cluster.kubectl("get", "services", "-A", "-o", "name")

    def port(document: dict[str, Any]) -> None:
        for cluster in document["clusters"]:
            cluster["gateway"] = {"port": 21443}

    wizard = Wizard(fresh_lab, tmp_path / "second", changes=port)
    ran = wizard.apply()
    assert ran.code == 0, ran.text
    assert_verified(wizard)
