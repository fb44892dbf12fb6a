"""A mesh whose state is kept in a cluster: begun on one machine, gone on with on another."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import wizard.commands.demo
import wizard.console.settings
from state import StateFolder
from tests.unit.lease_fakes import AtOnce
from wizard.clusters import lease as leases
from wizard.clusters.kinds import LEASE, SECRET, Ref
from wizard.clusters.lease import Times
from wizard.clusters.statesecret import StateSecrets
from wizard.commands.main import run
from wizard.engine.events import Event, Status, StepChanged
from wizard.engine.outcome import Outcome
from wizard.mesh.meshfile import read_meshfile
from wizard.mesh.model import Mesh
from wizard.operations.apply import Apply
from wizard.operations.prepared import prepare
from wizard.operations.recorded import saved_mesh
from wizard.operations.working import working
from wizard.simulated.outside import SimulatedOutside
from wizard.world import World

SECRET_OF_MESH = Ref(SECRET, "meshwizard-state-mesh1", "default")
LEASE_OF_STATE = Ref(LEASE, "meshwizard-state-mesh1", "default")

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> SimulatedOutside:
    made = SimulatedOutside(speed=0)
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: made)
    monkeypatch.setattr(wizard.commands.demo, "simulated_outside", lambda *_: made)
    return made


@pytest.fixture
def place(outside: SimulatedOutside) -> str:
    return f"cluster://{outside.machines[1].context}/default"


@pytest.fixture
def mesh(tmp_path: Path, outside: SimulatedOutside) -> str:
    clusters = [
        {"name": f"cluster{number}", "context": entry.context, "network": f"network{number}"}
        for number, entry in enumerate(outside.contexts(), 1)
    ]
    path = tmp_path / "mesh.yaml"
    path.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters}))
    return str(path)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setattr(leases, "TIMES", Times(look=0.01))

    def call(machine: str, *arguments: str) -> tuple[int, str, str]:
        """The command line on this machine: each has locks of its own."""
        code = run(["--state-dir", str(tmp_path / machine), *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.mark.promise(14, 38)
def test_a_colleague_goes_on_where_one_stopped(
    outside: SimulatedOutside, mesh: str, place: str, shell: Shell, tmp_path: Path
) -> None:
    outside.istioctl.fail_at["Pilot"] = "no memory"
    code, _, err = shell("laptop1", "apply", "-f", mesh, "--state", place)
    assert code == 1
    command = f"meshwizard resume mesh1 --state {place} --state-dir {tmp_path / 'laptop1'}"
    assert f"Go on with: {command}" in err
    assert [path.name for path in (tmp_path / "laptop1" / "mesh1").iterdir()] == ["lock"], "the state is elsewhere"
    outside.istioctl.fail_at.clear()
    assert shell("laptop2", "status")[0] == 2, "nothing is known without --state"
    assert shell("laptop2", "resume", "mesh1", "--state", place)[0] == 0
    assert shell("laptop1", "--state", place, "status")[0] == 0
    machine = outside.machines[1]
    assert machine.found(SECRET_OF_MESH) is not None
    assert machine.found(LEASE_OF_STATE) is None
    assert shell("laptop2", "uninstall", "--yes", "--state", place)[0] == 0
    assert machine.found(SECRET_OF_MESH) is None
    assert [each.listed(LEASE) for each in outside.machines] == [[], []]
    code, _, err = shell("laptop1", "status", "--state", place)
    assert code == 2
    assert f"no mesh is recorded in {place}" in err


@pytest.mark.promise(19)
def test_a_colleague_without_the_root_key_makes_no_second_root(
    outside: SimulatedOutside, mesh: str, place: str, shell: Shell
) -> None:
    cacerts = Ref(SECRET, "cacerts", "istio-system")
    assert shell("laptop1", "apply", "-f", mesh, "--state", place)[0] == 0
    outside.roots("mesh1").lose()  # the colleague's machine has none
    assert shell("laptop2", "resume", "--state", place)[0] == 0, "where all have theirs the key is not needed"
    before = outside.machines[0].found(cacerts)
    outside.cluster("cluster2", outside.machines[1].context).delete(cacerts)
    code, _, err = shell("laptop2", "resume", "--state", place)
    assert code == 3
    assert "whose key is not here" in err
    assert "root-key.pem" in err
    assert outside.machines[1].found(cacerts) is None
    assert outside.machines[0].found(cacerts) == before
    assert outside.roots("mesh1").load() is None


@pytest.mark.promise(14)
def test_a_second_machine_is_refused_and_does_not_disturb_the_first(
    outside: SimulatedOutside, mesh: str, place: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TIMES", Times(renew=0.05, look=0.01))
    monkeypatch.setattr("wizard.operations.working.Delivery", AtOnce)
    outside.istioctl.fail_at["Pilot"] = "no memory"
    assert shell("laptop1", "apply", "-f", mesh, "--state", place)[0] == 1
    outside.istioctl.fail_at.clear()
    context = outside.machines[1].context
    shelf = StateSecrets(outside.cluster(context, context), context, "default")
    folder = StateFolder(tmp_path / "laptop1", shelf=shelf)
    first = prepare(saved_mesh(folder, "mesh1")[0], outside, folder)
    entered, leave = threading.Event(), threading.Event()
    outcomes: list[Outcome] = []

    def listen(event: Event) -> None:
        if isinstance(event, StepChanged) and event.step == "cluster1/install" and event.status is Status.RUNNING:
            entered.set()
            assert leave.wait(60)

    def work() -> None:
        with working(Apply(first), listen) as engine:
            outcomes.append(engine.run())

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(60)
    code, _, err = shell("laptop2", "resume", "--state", place, "--take-over")
    assert code == 5
    assert "holds Lease meshwizard-state-mesh1 in default" in err
    leave.set()
    thread.join(60)
    assert outcomes[0].ok, outcomes[0].what
    state = folder.read("mesh1")
    assert state is not None
    assert state.finished


@pytest.mark.promise(3)
def test_a_run_whose_state_cannot_be_written_any_more_stops(
    outside: SimulatedOutside, mesh: str, place: str, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.operations.working.Delivery", AtOnce)
    monkeypatch.setattr("wizard.engine.step.SILENT_SECONDS", 0)
    machine = outside.machines[1]
    context = machine.context
    folder = StateFolder(tmp_path / "a", shelf=StateSecrets(outside.cluster("keeper", context), context, "default"))
    session = prepare(read_meshfile(Path(mesh)), outside, folder)

    def listen(event: Event) -> None:
        if isinstance(event, StepChanged) and event.step == "cluster1/install" and event.status is Status.RUNNING:
            machine.unreachable = True

    with working(Apply(session), listen) as engine:
        outcome = engine.run()
    assert (outcome.ok, outcome.exit_code) == (False, 1)
    # Which of two steps is told first is open: the one whose record could not be written, or one that looked at it after that.
    assert re.match("The state (could not be written to Secret meshwizard-state-mesh1|cannot be read)", outcome.what)
    assert "does not answer" in outcome.what
    assert f"Go on with: meshwizard resume mesh1 --state {place}" in outcome.remedy
    machine.unreachable = False
    assert shell("a", "resume", "--state", place)[0] == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("somewhere", "cluster://CONTEXT/NAMESPACE"),
        ("cluster://nowhere/default", "no context"),
        ("cluster://{context}/missing", "create namespace missing"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_touched(
    outside: SimulatedOutside, mesh: str, shell: Shell, given: str, told: str
) -> None:
    place = given.format(context=outside.machines[1].context)
    for command in (("status",), ("resume",), ("uninstall", "--yes"), ("apply", "-f", mesh)):
        code, _, err = shell("laptop", *command, "--state", place)
        assert code == (1 if "missing" in place else 2), (command, err)
        assert told in err
    assert all(not machine.asked.get("apply") for machine in outside.machines)


def test_the_demo_keeps_no_state_in_simulated_clusters(outside: SimulatedOutside, place: str, shell: Shell) -> None:
    code, _, err = shell("laptop", "demo", "--state", place)
    assert code == 2
    assert "the demo's clusters are simulated" in err


@pytest.fixture
def tampered(outside: SimulatedOutside, mesh: str, place: str, shell: Shell, tmp_path: Path) -> Callable[..., None]:
    """Lets somebody who may write the Secret change what it says."""
    assert shell("laptop1", "apply", "-f", mesh, "--state", place)[0] == 0
    context = outside.machines[1].context

    def tamper(**istio: object) -> None:
        folder = StateFolder(tmp_path / "b", shelf=StateSecrets(outside.cluster("k", context), context, "default"))
        state = folder.read("mesh1")
        assert state is not None
        document = {**state.document, "istio": {**state.document["istio"], **istio}}
        document["clusters"] = [{**each, "kubeconfig": "/theirs/config"} for each in document["clusters"]]
        with folder.open("mesh1") as journal:
            journal.start("apply", document, {"istioctl": str(tmp_path / "istioctl")}, {})
            journal.finish(True)

    (tmp_path / "istioctl").write_text("#!/bin/sh\n")
    return tamper


@pytest.mark.inputs("S2")
@pytest.mark.parametrize(
    "command", [("status",), ("verify",), ("resume",), ("uninstall", "--yes"), ("plan", "-f"), ("apply", "-f")]
)
def test_nothing_that_a_state_in_a_cluster_names_is_run_or_read(
    outside: SimulatedOutside, tampered: Callable[..., None], mesh: str, place: str, shell: Shell,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...],
) -> None:  # fmt: skip
    tampered()
    used: list[object] = []
    world = outside.world

    def watched(wanted: Mesh, istioctl: str | None = None) -> World:
        used.extend([istioctl, *(cluster.kubeconfig for cluster in wanted.clusters)])
        return world(wanted, istioctl)

    monkeypatch.setattr(outside, "world", watched)
    words = (*command, mesh) if command[-1] == "-f" else command
    code, _, err = shell("laptop2", *words, "--state", place)
    assert code in (0, 1), err
    assert used
    assert set(used) == {None}
    if command[-1] != "-f":
        assert "cluster1: (simulated)/kubeconfig is used, not the recorded /theirs/config" in err
    used.clear()
    assert shell("laptop2", "--istioctl", "/mine", *words, "--state", place)[0] in (0, 1, 2)
    assert not used or used[0] == "/mine"


@pytest.mark.inputs("S2")
def test_a_state_of_this_machine_keeps_its_paths(
    outside: SimulatedOutside, mesh: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell("laptop1", "apply", "-f", mesh)[0] == 0
    used: list[object] = []
    world = outside.world
    monkeypatch.setattr("wizard.operations.recorded.is_there", lambda path: True)
    monkeypatch.setattr(outside, "world", lambda wanted, told=None: (used.append(told), world(wanted, told))[1])
    assert shell("laptop1", "status")[0] == 0
    assert used == [outside.istioctl.path]


@pytest.mark.inputs("S2", "S7")
@pytest.mark.parametrize("field", ["pullSecretFile", "overlays"])
def test_a_file_that_a_state_in_a_cluster_names_is_not_read_without_a_consent(
    tampered: Callable[..., None], place: str, shell: Shell, tmp_path: Path, field: str
) -> None:
    private = tmp_path / "private"
    private.write_text(json.dumps({"auths": {"r": {"auth": "canary-of-mine"}}}))
    tampered(**({field: str(private), "pullSecret": "pull"} if field == "pullSecretFile" else {field: [str(private)]}))
    for command in ("status", "resume", "verify"):
        code, _, err = shell("laptop2", command, "--state", place)
        assert code == 3, err
        assert f"names files to be read here: {private}; nobody agreed to that, and nothing was read" in err
        assert f"meshwizard resume mesh1 --state {place} --consent {private}" in err
    code, _, err = shell("laptop2", "status", "--state", place, "--consent", str(private))
    assert code == (1 if field == "pullSecretFile" else 2), err
    assert shell("laptop2", "uninstall", "--yes", "--state", place)[0] == 0, "which reads no files"


@pytest.mark.inputs("S2")
def test_a_person_who_is_there_decides_whether_to_go_on_with_other_paths(
    tampered: Callable[..., None], place: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered()
    answers = [False, True]
    monkeypatch.setattr("wizard.commands.names.has_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: answers.pop(0))
    assert shell("laptop2", "status", "--state", place)[0] == 130
    assert shell("laptop2", "status", "--state", place)[0] == 0
    assert not answers
