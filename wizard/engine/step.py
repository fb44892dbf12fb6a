"""What a step is, and what it may use while it works."""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from wizard.engine.events import Event, PersonNeeded, StepSaid, StepWaits
from wizard.errors import Failed, Interrupted, NeedsPerson, Unreachable
from wizard.messages import msg
from wizard.text import duration, one_line, printable

T = TypeVar("T")
SILENT_SECONDS = 30  # how long a wait puts up with a cluster that does not answer


@dataclass(frozen=True)
class Difference:
    """One field that is not as wanted. `found` None: it is not there. `by`: who set it, where the cluster knows. `transient`: it
    comes and goes by itself, as a Pod starts or ends.
    """

    object: str
    field: str
    found: str | None
    wanted: str | None
    by: str = ""
    transient: bool = False

    @property
    def told(self) -> str:
        """All of it as one text."""
        found = msg("absent") if self.found is None else self.found
        wanted = msg("absent") if self.wanted is None else self.wanted
        if self.by:
            found = msg("{found} (set by {manager})", found=found, manager=self.by)
        if self.field:
            return msg(
                "{object}: {field}: {found} → {wanted}",
                object=self.object,
                field=self.field,
                found=found,
                wanted=wanted,
            )
        return msg("{object}: {found} → {wanted}", object=self.object, found=found, wanted=wanted)

    def __str__(self) -> str:
        return str(self.told)


@dataclass(frozen=True)
class Done:
    """`events`: what those who watch should hear along with it."""

    note: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Needed:
    """There is work: every field that is not as wanted."""

    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Conflict:
    """Going on would overwrite what somebody else made. `what` names object and owner, `remedy` the ways out."""

    what: str
    remedy: str


Probe = Done | Needed | Conflict


@dataclass(frozen=True)
class Command:
    """An equivalent command for a person: `text` is bash (may span lines), `why` one line of explanation."""

    text: str
    why: str = ""


class Surroundings(Protocol):
    """What all steps of a run work in. The engine hands it on, and asks no more of it than this."""

    @property
    def simulated(self) -> bool:
        """Whether nothing real is behind it."""


class Job:
    """What a step does its work with: it tells what happens, waits, and notices that it should stop.

    `shared` holds what steps of one run need to make only once (never written anywhere). `attended`: a person watches, and
    can be asked to do something.
    """

    def __init__(
        self,
        step: Step,
        emit: Callable[[Event], None],
        stopped: Callable[[], str | None],
        shared: Shared,
        sleep: Callable[[float], None] = time.sleep,
        *,
        attended: bool = False,
        leaving: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`stopped`, `leaving`: why the work should end now; the latter ends only the wait for a person."""
        self._step = step
        self._emit = emit
        self._stopped = stopped
        self._sleep = sleep
        self._leaving = leaving
        self.shared = shared
        self.attended = attended

    def say(self, text: str) -> None:
        """One line that a person should read, made printable."""
        self._say(text)

    def output(self, text: str) -> None:
        """One line of what a program prints, made printable; of many in a second some may not be shown."""
        self._say(text, output=True)

    def _say(self, text: str, *, output: bool = False) -> None:
        said = one_line(text, 1000)
        self._emit(StepSaid(**self._step.named(), text=said, output=output))

    def tell(self, event: Event) -> None:
        """Something of the step's own, for those who watch and know what it is."""
        self._emit(event)

    def cancelled(self) -> bool:
        """Whether the work should end now: the person aborts, or the step that this one watches failed."""
        return self._stopped() is not None

    def check(self) -> None:
        """Raises Interrupted when the work should end now."""
        reason = self._stopped()
        if reason is not None:
            raise Interrupted(reason)

    def wait(
        self,
        what: str,
        look: Callable[[], tuple[T | None, str]],
        *,
        seconds: float,
        every: float = 1.0,
        remedy: str = "",
    ) -> T:
        """Look until there is a result. `look` gives (result or None, what it saw). Failed after `seconds`, with what was
        last seen. Says what it waits for and for how long. A cluster that does not answer is asked again for half a minute.
        The last look begins after the deadline: while the program was stopped (Ctrl-Z, say), all may have come right.
        """
        began = heard = time.monotonic()
        result: T | None
        while True:
            self.check()
            asked = time.monotonic()
            try:
                result, seen = look()
                heard = time.monotonic()
            except Unreachable as silent:
                if asked - heard >= SILENT_SECONDS:
                    raise
                result, seen = None, silent.what
            elapsed = time.monotonic() - began
            if result is not None:
                return result
            if asked - began >= seconds:
                late = msg(
                    "{awaited}: not within {time}; last seen: {seen}",
                    awaited=what,
                    time=duration(seconds),
                    seen=printable(seen, 600),
                )
                raise Failed(late, remedy)
            self._waits(what, seen, elapsed, seconds)
            # At first more often: what is nearly there should not cost a whole pause.
            self._sleep(min(every, max(0.05, elapsed / 4), max(0.0, seconds - elapsed)))

    def person(
        self, what: str, instructions: str, look: Callable[[], tuple[T | None, str]], *, every: float = 3.0
    ) -> T:
        """Have a person do something outside. `look` gives (result or None, what it saw). Attended, it tells once what is
        needed and looks again until there is a result, for as long as that takes; a look that fails is what it saw. Else
        it looks once, and raises NeedsPerson with the same text where there is no result.
        """
        if not self.attended:
            self.check()
            result, _ = look()
            if result is None:
                raise NeedsPerson(one_line(what), printable(instructions))
            return result
        began = time.monotonic()
        asked = False
        while True:
            self.check()
            reason = self._leaving()
            if reason is not None:
                raise Interrupted(reason)
            try:
                result, seen = look()
            except Failed as failure:
                result, seen = None, failure.what
            if result is not None:
                return result
            if not asked:
                asked = True
                self._emit(
                    PersonNeeded(**self._step.named(), what=one_line(what), instructions=printable(instructions))
                )
            self._waits(what, seen, time.monotonic() - began, 0.0)
            self._sleep(every)

    def _waits(self, what: str, seen: str, elapsed: float, deadline: float) -> None:
        self._emit(
            StepWaits(
                **self._step.named(),
                what=one_line(what),
                seen=one_line(seen),
                elapsed=elapsed,
                deadline=deadline,
            )
        )


class Shared:
    """Results that several steps of one run need: each is made once, by whoever comes first."""

    def __init__(self) -> None:
        import threading

        self._lock = threading.Lock()
        self._locks: dict[str, Any] = {}
        self._results: dict[str, Any] = {}

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The result of `make`, made at most once; a failed attempt may be repeated by the next who asks."""
        import threading

        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._results:
                self._results[key] = make()
            result: T = self._results[key]
            return result


class Kind(str):
    """A kind of step, which is its name. Here, and nowhere else, is an id put together; nothing takes one apart."""

    __slots__ = ()

    def id(self, cluster: str | None = None, peer: str | None = None) -> str:
        """The id of the step of this kind in that cluster, and for that peer where there is one for each."""
        return "/".join(part for part in (cluster, self, peer) if part)


class Step(ABC):
    """One piece of the work. Subclasses live in `wizard/steps`, one file a kind.

    `id` never changes between releases: the state file names steps by it. It tells one step from another and nothing else:
    what a step is about say `kind`, `cluster` (whose lane it takes; None: of no single one) and `peer` (the other cluster,
    where there is a step for each). `needs`: ids that must be done before.
    `joins`: ids of steps whose work this one watches; it may run while they do, and is given up when one fails.
    `awaits`: ids of steps that run beside this one, and without which its work cannot come to its end: it is given up when one
    fails. They may join it.
    `guard`: looks whether what builds on it can work, and runs only where something of that needs work. A guard whose
    probe cannot tell says Needed: then its `apply` finds out, and has passed when it returns. What it makes for that it
    removes itself; `leaves`: something of it may be left where the wizard was killed, which `undo` takes back.
    `waits`: it only looks and waits for what others bring about, so there is nothing in it that a person agrees to.
    `rights`: what it may have to be allowed in a cluster, in the words of whoever asks a cluster for that.
    """

    kind: Kind
    rights: ClassVar[tuple[Any, ...]] = ()
    guard = False
    leaves = False
    waits = False

    def __init__(
        self,
        title: str,
        *,
        cluster: str | None,
        peer: str | None = None,
        needs: tuple[str, ...] = (),
        joins: tuple[str, ...] = (),
        awaits: tuple[str, ...] = (),
    ) -> None:
        self.id = self.kind.id(cluster, peer)
        self.title = title
        self.cluster = cluster
        self.peer = peer
        self.needs = needs
        self.joins = joins
        self.awaits = awaits

    def named(self) -> dict[str, Any]:
        """What every event of it tells of it: the fields of a `StepEvent`."""
        return {"step": self.id, "cluster": self.cluster, "kind": str(self.kind), "peer": self.peer}

    @abstractmethod
    def probe(self, world: Any) -> Probe:
        """Look at the clusters, change nothing. Must cope with everything it needs being absent."""

    @abstractmethod
    def apply(self, world: Any, job: Job) -> None:
        """Make it so. May be called again at any time, also after a crash in the middle of itself."""

    def undo(self, world: Any, job: Job) -> None:  # noqa: B027 - most guards and waits made nothing
        """Take back what `apply` made, and only that. May be called again at any time."""

    def commands(self) -> list[Command]:
        """What a person could type instead."""
        return []

    def wanted(self) -> Any:
        """Plain data that says what this step wants; its hash goes into the state file."""
        return self.id

    def inputs(self) -> str:
        """A short hash of `wanted`."""
        return hashlib.sha256(json.dumps(self.wanted(), sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which a person would type them: each after what it needs, though not after all it joins."""

    steps: tuple[Step, ...]

    def step(self, id: str) -> Step:
        """The step of that id; KeyError if there is none."""
        for step in self.steps:
            if step.id == id:
                return step
        raise KeyError(id)
