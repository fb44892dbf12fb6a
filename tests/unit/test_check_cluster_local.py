"""The check `cluster-local`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref


def configure(made: Setting, text: str) -> None:
    def change(live: Object) -> None:
        live["data"]["mesh"] += f"\n{text}\n"

    made.machine(1).change(Ref(CONFIG_MAP, "istio", "istio-system"), change)


def settings(*hosts: str, local: Any = "true") -> str:
    return f"serviceSettings: [{{settings: {{clusterLocal: {local}}}, hosts: [{', '.join(map(repr, hosts))}]}}]"


@pytest.mark.parametrize(
    "text",
    [
        "",
        settings("*.other.svc.cluster.local"),
        settings("*.local", local="false"),
        "serviceSettings: [{settings: {clusterLocal: true}, hosts: ['*.local']}, "
        "{settings: {clusterLocal: false}, hosts: ['*.sample.svc.cluster.local']}]",
        "serviceSettings: [null, {hosts: 1}, {settings: [], hosts: ['*']}]",
        "serviceSettings: yes",
    ],
)
def test_of_a_service_of_the_whole_mesh_nothing_is_said(text: str) -> None:
    made = finished_mesh()
    configure(made, text)
    assert found(made, "cluster-local") == []


@pytest.mark.parametrize("host", ["helloworld.sample.svc.cluster.local", "*.sample.svc.cluster.local", "*"])
def test_one_that_is_kept_within_its_cluster_is_told(host: str) -> None:
    made = finished_mesh()
    configure(made, settings(host))
    (finding,) = found(made, "cluster-local")
    assert (finding.severity, finding.object) == ("error", "ConfigMap istio in istio-system")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert host in finding.text
    assert finding.commands == ("kubectl --context=kubernetes-admin1@kubernetes -n istio-system edit configmap istio",)


def test_in_kube_system_it_always_is() -> None:
    made = finished_mesh()
    made.mesh = replace(made.mesh, verify=replace(made.mesh.verify, namespace="kube-system"))
    assert [each.object for each in found(made, "cluster-local")] == ["Service helloworld in kube-system"] * 2
