"""The state machine: what may happen to a mesh, in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.faults.machine import mishaps
from tests.faults.machine.convergence import converge, heal
from tests.faults.machine.process import Death, Fault
from tests.faults.machine.shapes import NAME, Shape, shapes
from tests.faults.machine.tally import Violation, count
from tests.faults.machine.world import Place
from wizard.mesh.model import Mesh

RULES = 8  # in one sequence, at most
numbers = st.integers(1, 4)
deaths = st.one_of(
    st.builds(Death, st.just("write"), st.integers(1, 60), st.booleans(), st.booleans()),
    st.builds(Death, st.just("file"), st.integers(1, 260), st.booleans(), st.booleans()),
    st.builds(Death, st.just("child"), st.integers(1, 60), st.booleans(), st.booleans()),
    st.builds(Death, st.just("read"), st.integers(1, 200), st.booleans(), st.booleans()),
    st.builds(Death, st.just("root"), st.just(1), st.booleans(), st.booleans()),
)
_KINDS = (
    "unreachable", "server error", "forbidden", "answer lost", "slow", "lease clock", "istioctl ends", "disk full", "disk error",
)  # fmt: skip
faults = st.builds(
    Fault, st.sampled_from(_KINDS), st.integers(1, 3), st.integers(1, 50), st.sampled_from([1, 1, 3, 30])
)
some_faults = st.lists(faults, max_size=2)
broke: list[str] = []
"""The stories of the sequences that broke, the first as it was drawn, the last as it was shrunk."""


class Sequences(RuleBasedStateMachine):
    """One sequence: a mesh, what happens to it, and at the end how it comes right."""

    place: Place | None = None

    @initialize(shape=shapes())
    def begin(self, shape: Shape) -> None:
        count("sequences")
        self.place = Place(shape)

    # -- runs

    @rule(operation=st.sampled_from(["apply", "apply", "resume"]), wrong=some_faults)
    def run(self, operation: str, wrong: list[Fault]) -> None:
        self._do(lambda place: place.run(operation, faults=_fresh(wrong)))

    @rule(operation=st.sampled_from(["apply", "resume", "resume"]), death=deaths, wrong=st.lists(faults, max_size=1))
    def crash(self, operation: str, death: Death, wrong: list[Fault]) -> None:
        self._do(lambda place: place.run(operation, death=death, faults=_fresh(wrong)))

    @rule(first=deaths, second=deaths)
    def crash_twice(self, first: Death, second: Death) -> None:
        """Killed, and killed again while it is gone on with."""
        self._do(lambda place: place.run("apply", death=first))
        self._do(lambda place: place.run("resume", death=second))

    @rule(write=st.integers(1, 40))
    def rival(self, write: int) -> None:
        self._do(lambda place: place.run("apply", rival=write))

    @rule()
    def look(self) -> None:
        self._do(lambda place: place.run("look"))

    @rule(wrong=some_faults)
    def undo(self, wrong: list[Fault]) -> None:
        self._do(lambda place: place.run("uninstall", faults=_fresh(wrong)))

    @rule(death=deaths)
    def crash_undo(self, death: Death) -> None:
        self._do(lambda place: place.run("uninstall", death=death))

    # -- what befalls the mesh between runs

    @rule(number=numbers, which=st.integers(0, 40))
    def delete(self, number: int, which: int) -> None:
        self._mishap("drift:deleted", lambda place: mishaps.delete(place, number, which))

    @rule(number=numbers, what=st.sampled_from(sorted(mishaps.FIELDS)), which=st.integers(0, 3))
    def change(self, number: int, what: str, which: int) -> None:
        self._mishap(f"drift:{what}", lambda place: mishaps.change(place, number, what, which))

    @rule(number=numbers, lost=st.booleans())
    def roots(self, number: int, lost: bool) -> None:
        how = mishaps.lose_cacerts if lost else mishaps.other_root
        self._mishap(f"drift:{'cacerts lost' if lost else 'another root'}", lambda place: how(place, number))

    @rule(number=numbers, what=st.sampled_from(mishaps.AILMENTS))
    def ail(self, number: int, what: str) -> None:
        self._mishap(f"ailment:{what}", lambda place: mishaps.ail(place, number, what))

    @rule()
    def heal(self) -> None:
        self._mishap("healed", lambda place: heal(place) or "healed")

    @rule(how=st.sampled_from(mishaps.MEDDLINGS), where=st.integers(0, 1000))
    def meddle(self, how: str, where: int) -> None:
        def done(place: Place) -> str:
            told = mishaps.meddle(place, how, where)
            place.remember_leaving()
            return told

        self._mishap(f"state:{how}", done)

    # -- the mesh file changes

    @rule(death=st.none() | deaths)
    def join(self, death: Death | None) -> None:
        """Another cluster joins."""

        def done(place: Place) -> None:
            number = len(place.mesh.clusters) + 1
            names = {cluster.name for cluster in place.mesh.clusters}
            number = next((n for n in range(1, place.shape.machines + 1) if f"cluster{n}" not in names), 0)
            new = place.shape.member(number) if number else None
            if new is not None and new.primary in (None, *names):
                place.change_mesh(_classed(replace(place.mesh, clusters=(*place.mesh.clusters, new))))
                count("mesh:joined")
                place.run("apply", death=death)

        self._do(done)

    @rule(which=st.integers(0, 3), death=st.none() | deaths)
    def leave(self, which: int, death: Death | None) -> None:
        """A cluster leaves, by consent."""

        def done(place: Place) -> None:
            served = {cluster.primary for cluster in place.mesh.clusters}
            free = [cluster for cluster in place.mesh.clusters if cluster.name not in served]
            if len(place.mesh.clusters) > 2 and free and place.known():
                gone = free[which % len(free)]
                rest = tuple(cluster for cluster in place.mesh.clusters if cluster is not gone)
                place.change_mesh(_classed(replace(place.mesh, clusters=rest)))
                count("mesh:left")
                place.run("apply", death=death)

        self._do(done)

    @rule(what=st.sampled_from(["port", "pull policy"]), death=st.none() | deaths)
    def alter(self, what: str, death: Death | None) -> None:
        """A field of the mesh file changes."""

        def done(place: Place) -> None:
            mesh = place.mesh
            if what == "port" and place.shape.exposure == "node-port":
                port = 32001 if mesh.clusters[0].gateway.port is None else None
                first = replace(mesh.clusters[0], gateway=replace(mesh.clusters[0].gateway, port=port))
                place.change_mesh(mesh.with_cluster(first))
            else:
                policy = "Always" if mesh.istio.image_pull_policy != "Always" else "IfNotPresent"
                place.change_mesh(replace(mesh, istio=replace(mesh.istio, image_pull_policy=policy)))
            count(f"mesh:{what}")
            place.run("apply", death=death)

        self._do(done)

    # -- the end

    def teardown(self) -> None:
        place = self.place
        if place is None:
            return
        try:
            if not place.broken:
                self._do(converge)
        finally:
            place.close()

    def _mishap(self, name: str, how: Callable[[Place], str]) -> None:
        def done(place: Place) -> None:
            told = how(place)
            if told:
                count(name)
                place.story.append(told)
                place.check()

        self._do(done)

    def _do(self, how: Callable[[Place], object]) -> None:
        place = self.place
        if place is None or place.broken:
            return
        count("steps")
        try:
            how(place)
        except Violation as violation:
            place.broken = True
            broke.append(str(violation))
            raise
        file = place.folder.folder / NAME / "state.json"
        if file.exists() and not place.damaged:
            place.copies = [*place.copies[-3:], file.read_bytes()]


def _fresh(wrong: list[Fault]) -> list[Fault]:
    """Faults count; what Hypothesis drew stays as it is."""
    return [replace(fault) for fault in wrong]


def _classed(mesh: Mesh) -> Mesh:
    remotes = any(cluster.role == "remote" for cluster in mesh.clusters)
    return replace(mesh, topology="primary-remote" if remotes else "multi-primary")


def how(sequences: int, *, shrink: bool) -> settings:
    """Settings for that many sequences."""
    return settings(
        max_examples=sequences,
        stateful_step_count=RULES,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        verbosity=Verbosity.normal,
        print_blob=False,
        report_multiple_bugs=False,
    )
