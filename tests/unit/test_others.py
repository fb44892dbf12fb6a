"""What is of another mesh, or of a person, is neither overwritten nor taken away: it is named, before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from screens.run import Run
from state import StateFolder
from tests.unit.conftest import Setting, setting
from tests.unit.test_simulated_topologies import contents
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ISTIO_GATEWAY,
    NAMESPACE,
    SECRET,
    SERVICE,
    Kind,
    Object,
    Ref,
)
from wizard.commands.main import run
from wizard.console import settings as doors
from wizard.mesh.meshfile import write_meshfile
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Mesh
from wizard.operations.choice import first
from wizard.operations.prepared import prepare
from wizard.operations.recorded import saved_mesh, wanted_mesh

pytestmark = pytest.mark.promise(21)


class House:
    """Simulated clusters, a folder for states, and commands as a person types them."""

    def __init__(self, folder: Path, made: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.made = made
        self.state = StateFolder(folder / "state")
        monkeypatch.setattr(doors, "outside_of", lambda settings: made.outside)

    def __call__(self, *words: str) -> int:
        return run(["--state-dir", str(self.state.folder), *words])

    def apply(self, mesh: Mesh, *words: str) -> int:
        file = self.folder / "mesh.yaml"
        file.write_text(write_meshfile(mesh))
        return self("apply", "-f", str(file), *words)

    def make(self, kind: Kind, name: str, namespace: str, **rest: object) -> Ref:
        """Somebody makes this in cluster1."""
        manifest: Object = {"apiVersion": kind.api_version, "kind": kind.kind, **rest}
        manifest["metadata"] = {"name": name, "namespace": namespace, **manifest.get("metadata", {})}
        self.made.machine(1).apply_as("kubectl-create", manifest)
        return Ref(kind, name, namespace)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    return House(tmp_path, setting(), monkeypatch)


def test_of_another_mesh_nothing_is_changed_and_nothing_taken_back(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = house.made.mesh
    assert house.apply(mesh) == 0
    before = [_versions(house, number) for number in (1, 2)]
    one, two = mesh.clusters
    other = replace(mesh, name="meshb", clusters=(replace(one, network="network2"), replace(two, network="network1")))
    capsys.readouterr()
    assert house.apply(other) == 3
    assert "belongs to mesh mesh1 already" in capsys.readouterr().err
    assert [_versions(house, number) for number in (1, 2)] == before
    assert house("uninstall", "meshb", "--yes") == 0
    assert [_versions(house, number) for number in (1, 2)] == before
    assert house("verify", "mesh1") == 0


@pytest.mark.parametrize(
    ("kind", "namespace", "rest"),
    [
        (SECRET, SYSTEM_NAMESPACE, {"type": "Opaque", "data": {"k": "YQ=="}}),
        (CONFIG_MAP, "sample", {"data": {"k": "v"}}),
        (ISTIO_GATEWAY, SYSTEM_NAMESPACE, {"spec": {"selector": {"a": "b"}}}),
    ],
    ids=["Secret", "ConfigMap", "Gateway"],
)
def test_what_a_person_put_into_our_namespaces_is_not_deleted_with_them(
    house: House, kind: Kind, namespace: str, rest: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [contents(machine) for machine in house.made.outside.machines]
    assert house.apply(house.made.mesh) == 0
    theirs = house.make(kind, "theirs", namespace, **rest)
    capsys.readouterr()
    assert house("uninstall", "--yes") == 3
    told = capsys.readouterr().err
    assert f"namespace {namespace} holds what meshwizard did not make: {kind.kind} theirs" in told
    assert house.made.machine(1).found(theirs) is not None
    house.made.machine(1).store.remove(theirs)
    assert house("resume") == 0
    # The definitions of kinds stayed for the sake of what was there.
    after = [{each for each in contents(machine) if CRD.kind not in each} for machine in house.made.outside.machines]
    assert after == before


def test_what_something_puts_into_every_namespace_is_nobodys_loss(house: House) -> None:
    assert house.apply(house.made.mesh) == 0
    for namespace in ("default", "kube-system", SYSTEM_NAMESPACE, "sample"):
        house.make(CONFIG_MAP, "openshift-service-ca.crt", namespace, data={"k": "v"})
    assert house("uninstall", "--yes") == 0
    assert house.made.machine(1).found(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None


@pytest.mark.parametrize("kind", [SERVICE, DEPLOYMENT], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("owner", ["eastwest", None])
def test_a_gateway_of_somebody_else_is_a_conflict(
    house: House, kind: Kind, owner: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    house.made.machine(1).apply_as(
        "kubectl-create", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    )
    labels = {"install.operator.istio.io/owning-resource": owner} if owner else {}
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "registry.example/a"}]}}
    spec: dict[str, object] = {"selector": {"a": "b"}, "ports": [{"name": "tls", "port": 15443, "targetPort": 9999}]}
    if kind == DEPLOYMENT:
        spec = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
    theirs = house.make(kind, GATEWAY_NAME, SYSTEM_NAMESPACE, metadata={"labels": labels}, spec=spec)
    before = house.made.machine(1).found(theirs)
    assert house.apply(house.made.mesh) == 3
    told = capsys.readouterr().err
    by = "IstioOperator eastwest" if owner else "somebody else"
    assert f"{theirs} is there already, installed by {by}" in told
    assert house.made.machine(1).found(theirs) == before
    assert house("uninstall", "--yes") == 0
    assert house.made.machine(1).found(theirs) == before


def test_screens_too_leave_untouched_what_a_person_said_to_forget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path, setting(3), monkeypatch)
    mesh = house.made.mesh
    assert house.apply(mesh) == 0
    house.made.machine(2).unreachable = True
    assert house.apply(replace(mesh, clusters=mesh.clusters[:2]), "--forget", "cluster3") == 1
    house.made.machine(2).unreachable = False
    before = _versions(house, 3)
    saved, state = saved_mesh(house.state, mesh.name)
    screens = Run(first(prepare(wanted_mesh(saved, state), house.made.outside, house.state), state))
    screens.start()
    screens.join(60)
    while screens.drain():
        pass
    ended = screens.view.ended
    assert ended is not None
    assert ended.ok, ended.what
    assert _versions(house, 3) == before
    assert house.made.machine(1).found(Ref(SECRET, "istio-remote-secret-cluster3", SYSTEM_NAMESPACE)) is None


def _versions(house: House, number: int) -> dict[str, str]:
    """Address → resourceVersion of what counts in a cluster."""
    machine = house.made.machine(number)
    kinds = (NAMESPACE, SECRET, CONFIG_MAP, SERVICE, DEPLOYMENT, ISTIO_GATEWAY)
    return {
        f"{kind.kind} {live['metadata'].get('namespace', '')}/{live['metadata']['name']}": live["metadata"][
            "resourceVersion"
        ]
        for kind in kinds
        for live in machine.listed(kind)
    }
