"""Clusters join a mesh that stands and leave it again, over simulated clusters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from state import StateFolder
from tests.unit.conftest import Setting, setting
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, SECRET, Ref
from wizard.commands.main import run
from wizard.console import settings as doors
from wizard.engine.events import Event, StepChanged
from wizard.mesh.meshfile import write_meshfile
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE, Gateway
from wizard.operations.apply import Apply
from wizard.operations.prepared import Prepared, prepare
from wizard.operations.recorded import saved_mesh
from wizard.operations.working import working


class House:
    """Three simulated clusters, a mesh file and a state folder."""

    def __init__(self, folder: Path, made: Setting) -> None:
        self.made = made
        self.folder = folder
        self.file = folder / "mesh.yaml"

    def want(self, *numbers: int) -> None:
        clusters = tuple(self.made.mesh.clusters[number - 1] for number in numbers)
        self.file.write_text(write_meshfile(replace(self.made.mesh, clusters=clusters)))

    def __call__(self, *words: str) -> int:
        return run(["--state-dir", str(self.folder / "state"), *words])

    def apply(self, *words: str) -> int:
        return self("apply", "-f", str(self.file), *words)

    def has(self, number: int, ref: Ref) -> bool:
        return self.made.machine(number).found(ref) is not None


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    made = setting(3)
    monkeypatch.setattr(doors, "outside_of", lambda settings: made.outside)
    return House(tmp_path, made)


NAMESPACE_REF = Ref(NAMESPACE, SYSTEM_NAMESPACE)
SECRET_OF_3 = Ref(SECRET, "istio-remote-secret-cluster3", SYSTEM_NAMESPACE)


def test_a_cluster_joins_and_what_stood_is_not_installed_again(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.want(1, 2)
    assert house.apply() == 0
    house.want(1, 2, 3)
    capsys.readouterr()
    assert house.apply("--json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    worked = {event["step"] for event in events if event["event"] == "stepchanged" and event["status"] == "running"}
    assert {step for step in worked if not step.startswith("cluster3/")} == {
        f"{name}/{step}"
        for name in ("cluster1", "cluster2")
        for step in ("mesh-networks", "remote-secret/cluster3", "reach-api", "reach-gateways", "reach-peers")
    }


def test_it_leaves_by_consent_only(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    capsys.readouterr()
    assert house.apply() == 3
    told = capsys.readouterr().err
    assert "cluster3 belonged to mesh mesh1" in told
    assert "--remove cluster3" in told
    assert house.has(1, SECRET_OF_3)
    assert house.has(3, NAMESPACE_REF)


def test_it_leaves_without_a_trace(house: House) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    assert house.apply("--remove", "cluster3") == 0
    assert not house.has(1, SECRET_OF_3)
    assert not house.has(2, SECRET_OF_3)
    assert not house.has(3, NAMESPACE_REF)
    config = house.made.machine(1).found(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE))
    assert config is not None
    assert "network3" not in config["data"]["meshNetworks"]
    mesh, state = saved_mesh(StateFolder(house.folder / "state"), "mesh1")
    assert [cluster.name for cluster in mesh.clusters] == ["cluster1", "cluster2"]
    assert state.finished
    assert house("verify") == 0


def test_the_one_between_leaves_and_the_others_keep_their_versions(house: House) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 3)
    assert house.apply("--remove", "cluster2") == 0
    mesh, _ = saved_mesh(StateFolder(house.folder / "state"), "mesh1")
    assert [cluster.sample for cluster in mesh.clusters] == ["v1", "v3"]


def test_of_a_cluster_that_is_gone_only_the_others_are_told(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    house.made.machine(3).unreachable = True
    assert house.apply("--remove", "cluster3") == 1
    assert "--forget cluster3" in capsys.readouterr().err
    assert not house.has(1, SECRET_OF_3)
    assert house.apply("--forget", "cluster3") == 0
    house.made.machine(3).unreachable = False
    assert house.has(3, NAMESPACE_REF)


def test_an_unfinished_departure_is_gone_on_with(house: House) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    house.made.machine(3).unreachable = True
    assert house.apply("--remove", "cluster3") == 1
    house.made.machine(3).unreachable = False
    assert house("resume") == 0
    assert not house.has(3, NAMESPACE_REF)
    assert house("verify") == 0


def test_an_uninstall_also_takes_what_was_leaving(house: House) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    house.made.machine(3).unreachable = True
    assert house.apply("--remove", "cluster3") == 1
    house.made.machine(3).unreachable = False
    assert house("uninstall", "--yes") == 0
    assert [number for number in (1, 2, 3) if house.has(number, NAMESPACE_REF)] == []


@pytest.mark.parametrize("option", ["--remove", "--forget"])
def test_consent_to_what_does_not_leave_is_bad_input(
    house: House, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    house.want(1, 2)
    assert house.apply(option, "cluster2") == 2
    assert "cluster2 does not leave the mesh" in capsys.readouterr().err
    assert not house.has(1, NAMESPACE_REF)


def test_a_plan_says_who_would_leave(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    house.want(1, 2)
    capsys.readouterr()
    assert house("plan", "-f", str(house.file), "--json") == 0
    assert json.loads(capsys.readouterr().out)["leaving"] == ["cluster3"]


def test_another_exposure_takes_no_address_from_the_one_before(house: House) -> None:
    house.want(1, 2)
    assert house.apply() == 0
    mesh, _ = saved_mesh(StateFolder(house.folder / "state"), "mesh1")
    assert mesh.clusters[0].gateway.port == 31443
    changed = replace(mesh.clusters[0], gateway=replace(mesh.clusters[0].gateway, exposure="external-ips", port=None))
    session = prepare(mesh.with_cluster(changed), house.made.outside, StateFolder(house.folder / "state"))
    assert session.mesh.clusters[0].gateway.port is None
    assert session.mesh.clusters[0].gateway.tls_port == 15443
    assert _run(session) == ["cluster1/install", "cluster2/mesh-networks"]


def _run(session: Prepared) -> Sequence[str]:
    worked: dict[str, None] = {}

    def listen(event: Event) -> None:
        if isinstance(event, StepChanged) and event.status == "running" and "reach" not in event.step:
            worked[event.step] = None

    with working(Apply(session), listen) as engine:
        assert engine.run().ok
    return sorted(step for step in worked if not step.endswith("verify") and step != "cluster1/mesh-networks")


def balanced(house: House) -> None:
    """Behind load balancers a gateway carries its network."""
    for machine in house.made.outside.machines:
        machine.load_balancer = True
    clusters = (replace(each, gateway=Gateway(exposure="load-balancer")) for each in house.made.mesh.clusters)
    house.made = replace(house.made, mesh=replace(house.made.mesh, clusters=tuple(clusters)))


def test_a_role_is_not_changed_in_place(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    balanced(house)
    house.want(1, 2, 3)
    assert house.apply() == 0
    third = replace(house.made.mesh.clusters[2], role="remote", primary="cluster1")
    wished = replace(house.made.mesh, topology="primary-remote").with_cluster(third)
    house.file.write_text(write_meshfile(wished))
    before = house.made.machine(3).store.revision
    capsys.readouterr()
    assert house.apply() == 2
    told = capsys.readouterr().err
    assert "cluster3 cannot get another role or network in place; nothing was touched" in told
    assert "clusters.cluster3.role: it was installed as a primary" in told
    assert "--remove cluster3" in told
    assert house.made.machine(3).store.revision == before
    house.want(1, 2)
    assert house.apply("--remove", "cluster3") == 0
    house.file.write_text(write_meshfile(wished))
    assert house.apply() == 0


def test_before_it_is_installed_a_role_is_only_a_wish(house: House) -> None:
    balanced(house)
    house.want(1, 2)
    house.made.machine(2).unreachable = True
    assert house.apply() == 1
    house.made.machine(2).unreachable = False
    second = replace(house.made.mesh.clusters[1], role="remote", primary="cluster1")
    mesh = replace(house.made.mesh, clusters=(house.made.mesh.clusters[0], second), topology="primary-remote")
    house.file.write_text(write_meshfile(mesh))
    assert house.apply() == 0


def test_a_network_is_not_renamed_in_place(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.want(1, 2, 3)
    assert house.apply() == 0
    mesh = house.made.mesh
    house.file.write_text(write_meshfile(mesh.with_cluster(replace(mesh.clusters[1], network="elsewhere"))))
    capsys.readouterr()
    assert house.apply() == 2
    assert "clusters.cluster2.network: it was installed on network2" in capsys.readouterr().err


def test_an_exposure_is_changed_in_place(house: House) -> None:
    """The gateway then carries its network, by which its Deployment selects its Pods: nobody may change that."""
    house.want(1, 2)
    assert house.apply() == 0
    balanced(house)
    house.want(1, 2)
    assert house.apply() == 0
    gateway = house.made.machine(2).found(Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE))
    assert gateway is not None
    assert gateway["spec"]["selector"]["matchLabels"][NETWORK_LABEL] == "network2"
