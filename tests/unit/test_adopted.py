"""What stands is kept as it is by a run that has lost its state, and is not believed where an install was cut off."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from state import StateFolder
from tests.unit.conftest import Setting, setting
from wizard.clusters.kinds import DEPLOYMENT, MUTATING_WEBHOOK, POD, Ref, ref_of
from wizard.errors import Failed
from wizard.mesh.model import Gateway, Mesh
from wizard.operations.apply import Apply
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.working import working


def worked(session: Prepared) -> set[str]:
    """The steps that changed something in a run that went well."""
    steps: set[str] = set()
    with working(
        Apply(session), lambda event: steps.add(event.step) if getattr(event, "status", "") == "running" else None
    ) as engine:
        outcome = engine.run()
    assert outcome.ok, outcome.what
    return steps


def unsettled(mesh: Mesh) -> Mesh:
    clusters = tuple(replace(cluster, gateway=Gateway(), api_server=None, sample=None) for cluster in mesh.clusters)
    return replace(mesh, clusters=clusters)


@pytest.mark.promise(16)
def test_without_its_state_a_run_keeps_sample_versions_that_do_not_follow_from_the_order(tmp_path: Path) -> None:
    made = setting(3)
    mesh = unsettled(made.mesh)
    first, second, third = mesh.clusters
    folder = StateFolder(tmp_path / "state")
    assert worked(prepare(mesh, made.outside, folder))
    shutil.rmtree(folder.folder)
    turned = prepare(replace(mesh, clusters=(third, first, second)), made.outside, folder)
    assert worked(turned) == set()
    assert [cluster.sample for cluster in turned.mesh.clusters] == ["v3", "v1", "v2"]


@pytest.mark.promise(16)
def test_without_its_state_a_run_keeps_the_port_on_which_a_gateway_stands(tmp_path: Path) -> None:
    made = setting()
    mesh = unsettled(made.mesh)
    chosen = mesh.with_cluster(replace(mesh.clusters[0], gateway=Gateway(port=32001)))
    folder = StateFolder(tmp_path / "state")
    assert worked(prepare(chosen, made.outside, folder))
    shutil.rmtree(folder.folder)
    assert worked(prepare(mesh, made.outside, folder)) == set()


@pytest.mark.promise(15, 17)
def test_an_install_that_was_cut_off_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    made = setting()
    folder = StateFolder(tmp_path / "state")
    assert worked(prepare(made.mesh, made.outside, folder))
    other = replace(made.mesh, istio=replace(made.mesh.istio, image_pull_policy="Always"))
    made.outside.istioctl.fail_at["IngressGateways"] = "cut off"
    session = prepare(other, made.outside, folder)
    with working(Apply(session), lambda event: None) as engine:
        assert not engine.run().ok
    made.outside.istioctl.fail_at.clear()
    assert policies(made) == {"Always"}
    assert {"cluster1/install", "cluster2/install"} <= worked(prepare(made.mesh, made.outside, folder))
    assert policies(made) == {"IfNotPresent"}


@pytest.mark.promise(17)
def test_a_gateway_whose_pod_was_made_while_nothing_injected_gets_another(tmp_path: Path) -> None:
    made = setting()
    folder = StateFolder(tmp_path / "state")
    assert worked(prepare(made.mesh, made.outside, folder))
    machine = made.machine(1)
    gateways = machine.listed(POD, "istio-system", "app=istio-eastwestgateway")
    with machine.settled():
        for live in (*machine.listed(MUTATING_WEBHOOK), *gateways):
            machine.store.remove(ref_of(live))
    assert images(made) == {"auto"}
    assert "cluster1/install" in worked(prepare(made.mesh, made.outside, folder))
    assert images(made) == {"docker.io/istio/proxyv2:1.29.1"}


def images(made: Setting) -> set[str]:
    """Those of the Pods of cluster1's gateway."""
    pods = made.machine(1).listed(POD, "istio-system", "app=istio-eastwestgateway")
    return {container["image"] for pod in pods for container in pod["spec"]["containers"]}


def policies(made: Setting) -> set[str]:
    """The policies with which istiod's image is pulled."""
    found = [made.machine(number).found(Ref(DEPLOYMENT, "istiod", "istio-system")) for number in (1, 2)]
    if None in found:
        raise Failed("no istiod")
    return {str(each["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"]) for each in found if each}
