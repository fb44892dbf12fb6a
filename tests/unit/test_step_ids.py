"""Step ids outlive releases: what one release began, the next must recognise and resume.

`golden/steps-N.json` lists the ids of every kind of mesh as release N made them, `golden/state-N.json` is what it recorded of a
run that was killed half-way. A release adds files and changes none: an id that goes needs a migration of the state.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from state import StateFolder, schema
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh
from wizard.operations.choice import kind_of, resumed
from wizard.operations.operation import Operation
from wizard.operations.prepared import prepare
from wizard.operations.recorded import saved_mesh, wanted_mesh
from wizard.operations.working import working
from wizard.plan import plan_of
from wizard.simulated.outside import SimulatedOutside

pytestmark = pytest.mark.promise(25)
GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(GOLDEN.glob("steps-*.json"))
STATES = sorted(GOLDEN.glob("state-*.json"))
EXPECTED = {  # what resuming each state does
    "state-0.1": ["apply"], "state-0.1-departure": ["departure", "apply"], "state-0.1-uninstall": ["uninstall"],
}  # fmt: skip


def clusters(exposure: str, *primaries: int, networks: tuple[int, ...] = ()) -> tuple[Cluster, ...]:
    """`primaries`: the number of each cluster's primary, 0 for a primary."""
    return tuple(
        Cluster(
            f"cluster{number}", f"simulated-{number}", f"network{networks[number - 1] if networks else number}",
            role="remote" if primary else "primary", primary=f"cluster{primary}" if primary else None,
            gateway=Gateway(exposure=exposure, address=f"192.0.2.{10 + number}", port=31443),
            api_server=f"https://192.0.2.{10 + number}:6443",
        )
        for number, primary in enumerate(primaries, 1)
    )  # fmt: skip


def mesh(members: tuple[Cluster, ...]) -> Mesh:
    topology = "primary-remote" if any(each.role == "remote" for each in members) else "multi-primary"
    return Mesh("mesh1", members, topology=topology, istio=Istio(version="1.29.1"))


MESHES = {
    "multi-primary": mesh(clusters("node-port", 0, 0)),
    "three primaries": mesh(clusters("external-ips", 0, 0, 0)),
    "primary-remote": mesh(clusters("external-ips", 0, 1)),
    "two primaries with remotes": mesh(clusters("load-balancer", 0, 1, 0, 3)),
    "one network": mesh(clusters("node-port", 0, 0, networks=(1, 1))),
    "routes": mesh(clusters("cluster-ip-route", 0, 0)),
    "revision": replace(mesh(clusters("node-port", 0, 0)), istio=Istio(version="1.29.1", revision="canary")),
    "pull secret": replace(
        mesh(clusters("node-port", 0, 0)), istio=Istio(version="1.29.1", pull_secret="registry")
    ),
    "own certificates": replace(
        mesh(clusters("node-port", 0, 0)), certificates=Certificates("directory", Path("certificates"))
    ),
}  # fmt: skip


def ids() -> dict[str, list[str]]:
    """The step ids of every kind of mesh, sorted."""
    return {name: sorted(step.id for step in plan_of(each).steps) for name, each in MESHES.items()}


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_what_a_release_called_a_step_is_still_called_so(release: Path) -> None:
    now = ids()
    gone = {name: sorted(set(steps) - set(now[name])) for name, steps in json.loads(release.read_text()).items()}
    assert gone == {name: [] for name in gone}


def test_there_is_a_list_of_this_release() -> None:
    """A step that is new is added to the newest list: from then on it must stay."""
    assert json.loads(RELEASES[-1].read_text()) == ids()


@pytest.mark.parametrize("recorded", STATES, ids=lambda path: path.stem)
def test_what_a_release_left_half_done_is_resumed(tmp_path: Path, recorded: Path) -> None:
    state, _ = schema.decode(recorded.read_bytes(), "mesh1", recorded)
    assert {record.status for record in state.steps.values()} & {"running", "undoing"}, "killed half-way"
    outside = SimulatedOutside(len(state.clusters), 0)
    # The clusters of that run are gone; these are other ones, and empty.
    pinned = {
        name: {**facts, "uid": outside.cluster(name, machine.context).identity()}
        for (name, facts), machine in zip(sorted(state.clusters.items()), outside.machines, strict=True)
    }
    folder = StateFolder(tmp_path / "state")
    place = folder.path_of("mesh1")
    place.mkdir(parents=True, mode=0o700)
    folder.folder.chmod(0o700)
    (place / "state.json").write_bytes(schema.encode(replace(state, clusters=pinned)))
    saved, found = saved_mesh(folder, "mesh1")
    takes_back = kind_of(found).takes_back
    mesh = saved if takes_back else wanted_mesh(saved, found)
    following: Operation | None = resumed(prepare(mesh, outside, folder, undo=takes_back), found)
    done = []
    while following:
        done.append(following.name)
        with working(following, lambda event: None) as engine:
            outcome = following.run(engine)
        assert outcome.ok, outcome.what
        following = following.then()
    assert done == EXPECTED[recorded.stem]
    after = folder.read("mesh1")
    if takes_back:
        assert after is None
        return
    assert after is not None
    assert after.finished
    assert set(state.steps) <= set(after.steps)
    statuses = {step: record.status for step, record in after.steps.items()}
    assert set(statuses.values()) <= {"done", "undone"}
    gone = {each.name for each in saved.clusters} - {each.name for each in mesh.clusters}
    assert {statuses[f"{name}/install"] for name in gone} <= {"undone"}
    assert {statuses[f"{each.name}/verify"] for each in mesh.clusters} == {"done"}


if __name__ == "__main__":
    (GOLDEN / "steps-0.1.json").write_text(json.dumps(ids(), indent=1) + "\n")
