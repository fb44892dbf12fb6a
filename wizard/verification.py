"""The verification alone: traffic from every cluster to every cluster, over a mesh that stands."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wizard.answered import Answered
from wizard.checks.finding import way_on
from wizard.checks.standing.diagnosis import Diagnosis, diagnose
from wizard.checks.standing.view import Traffic, View
from wizard.engine.events import Event
from wizard.engine.step import Job, Plan, Shared
from wizard.errors import Failed, Trouble, VerificationFailed
from wizard.fanout import of_each
from wizard.mesh.model import Mesh
from wizard.messages import joined, msg
from wizard.probes.traffic import Heard
from wizard.steps.verify import Verify
from wizard.world import World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What one cluster heard. `counts`: version → answers; `seconds`: how long it took."""

    cluster: str
    counts: dict[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    errors: int = 0
    last: str = ""
    remedy: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every version answered."""
        return bool(self.counts) and not self.missing


def verify(plan: Plan, world: World, listener: Callable[[Event], None]) -> list[Verdict]:
    """Ask from every cluster, in parallel, until every version answered or the deadline passed. Changes nothing."""
    steps = [step for step in plan.steps if isinstance(step, Verify)]
    shared = Shared()
    return of_each(steps, lambda step: _one(step, world, listener, shared))


def explained(mesh: Mesh, world: World, verdicts: Sequence[Verdict]) -> Diagnosis:
    """Why answers did not come; or, where all did, what will keep them from coming. Reads only."""
    traffic = {
        each.cluster: Traffic(Heard(Counter(each.counts), each.last if each.errors else "")) for each in verdicts
    }
    return diagnose(View(mesh, world.clusters, traffic=traffic))


def failure(verdicts: Sequence[Verdict], diagnosis: Diagnosis | None = None) -> VerificationFailed | None:
    """The failure of those clusters that did not hear everything, None where all did. `diagnosis`: what was found of it since."""
    bad = [verdict for verdict in verdicts if not verdict.ok]
    if not bad:
        return None
    told = joined((msg("{cluster}: {problem}", cluster=verdict.cluster, problem=verdict.last) for verdict in bad), "; ")
    cause = diagnosis.cause if diagnosis else None
    if cause and not any(cause.text in verdict.last for verdict in bad):
        return VerificationFailed(joined((told, cause.text), "; "), way_on(cause))
    return VerificationFailed(told, joined(dict.fromkeys(verdict.remedy for verdict in bad)))


def _one(step: Verify, world: World, listener: Callable[[Event], None], shared: Shared) -> Verdict:
    heard: list[Answered] = []

    def emit(event: Event) -> None:
        if isinstance(event, Answered):
            heard.append(event)
        listener(event)

    began = time.monotonic()
    last, remedy = "", ""
    try:
        step.apply(world, Job(step, emit, lambda: None, shared))
    except Trouble as trouble:
        last, remedy = trouble.what, trouble.remedy
    except Exception as error:
        log.exception("verification by %s", step.id)
        raise Failed(
            msg("{step}: unexpected {error}", step=step.id, error=type(error).__name__), msg("Please report this.")
        ) from error
    final = heard[-1] if heard else None
    return Verdict(
        cluster=step.member.name,
        counts=dict(final.counts) if final else {},
        missing=final.missing if final else step.versions,
        errors=final.errors if final else 0,
        last=last or (final.last if final else ""),
        remedy=remedy,
        seconds=time.monotonic() - began,
    )
