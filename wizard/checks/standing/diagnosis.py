"""Why does it not answer? Every check of every layer is asked, side by side; the first broken layer has the cause."""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from wizard.checks import standing
from wizard.checks.finding import Finding, Pair
from wizard.checks.standing.check import LAYERS, Check, Fault
from wizard.checks.standing.cluster import api_server
from wizard.checks.standing.view import Here, Traffic, View
from wizard.errors import Trouble
from wizard.fanout import of_each
from wizard.messages import msg

log = logging.getLogger(__name__)

_WORST_FIRST = ("error", "warning", "unsure", "ok")


@dataclass(frozen=True)
class Diagnosis:
    """All that was found, the cause first, then as it weighs. `proven`: every cluster heard every cluster; None: not tried, or it
    could not be tried. `broken`: the traffic that did not pass. `traffic`: what each cluster's client heard, where it was asked.
    Where only some traffic was in question, the first four are about that.
    """

    findings: tuple[Finding, ...]
    cause: Finding | None
    proven: bool | None
    broken: frozenset[Pair] = frozenset()
    traffic: Mapping[str, Traffic] = field(default_factory=dict)

    @property
    def also(self) -> tuple[Finding, ...]:
        """What was found beside the cause."""
        return tuple(each for each in self.findings if each is not self.cause)

    def cause_of(self, pairs: Iterable[Pair]) -> Finding | None:
        """What keeps any of this traffic from passing; None where nothing is known for sure that does."""
        wanted = set(pairs)
        return next((each for each in self.findings if each.severity == "error" and wanted & set(each.breaks)), None)


@cache
def checks() -> tuple[Check, ...]:
    """The CHECK of every module in the folders of the layers, by layer and id: a new check is a new file and no more."""
    found = [
        module.CHECK
        for each in pkgutil.walk_packages(standing.__path__, f"{standing.__name__}.")
        if not each.ispkg and isinstance(getattr(module := import_module(each.name), "CHECK", None), Check)
    ]
    return tuple(sorted(found, key=lambda check: (LAYERS.index(check.layer), check.id)))


def diagnose(view: View, pairs: Collection[Pair] | None = None) -> Diagnosis:
    """Ask every check about every cluster; reads only. A cluster that does not answer is told once, and asked no more. `pairs`:
    the traffic in question, where that is not all.
    """
    alive = []
    findings: list[Finding] = []
    for here, told in zip(view.all, of_each(view.all, lambda here: _ask(api_server.CHECK, here)), strict=True):
        findings += told
        if not any(each.severity == "error" for each in told):
            alive.append(here)
    asked = [(check, here) for check in checks() if check is not api_server.CHECK for here in alive]
    for told in of_each(asked, lambda each: _ask(*each)):
        findings += told
    return sorted_out(view, findings, pairs)


def sorted_out(view: View, findings: Sequence[Finding], pairs: Collection[Pair] | None = None) -> Diagnosis:
    """These findings of the view, weighed; those alone that concern this traffic, where not all is in question."""
    broken, sources = view.broken, {each.name for each in view.all}
    if pairs is not None:
        broken, sources = broken & set(pairs), {source for source, _ in pairs}
        findings = [each for each in findings if _concerns(view, each, pairs)]
    known = {check.id: (check.follows, place) for place, check in enumerate(checks())}

    def weight(finding: Finding) -> tuple[int, bool, int, bool, int, int]:
        explained = broken & set(finding.breaks)
        return (
            _WORST_FIRST.index(finding.severity),
            bool(broken) and not explained,
            LAYERS.index(finding.layer),
            known[finding.check][0],
            -len(explained),
            known[finding.check][1],
        )

    ordered = tuple(sorted(findings, key=weight))
    first = ordered[0] if ordered and ordered[0].severity == "error" else None
    # What breaks other traffic than that which does not pass is no cause of it.
    cause = first if first and (not broken or broken & set(first.breaks)) else None
    tried = {name for name, told in view.traffic.items() if told.heard is not None}
    proven = False if broken else True if sources <= tried else None
    return Diagnosis(ordered, cause, proven, broken, view.traffic)


def _concerns(view: View, finding: Finding, pairs: Collection[Pair]) -> bool:
    """Whether it keeps any of this traffic from passing, or is about a cluster that has a part in all of it."""
    parties = set.intersection(*map(set, pairs)) if pairs else set()
    about = parties | {view.mesh.control_plane(name).name for name in parties}
    return finding.cluster in about or not set(pairs).isdisjoint(finding.breaks)


def _ask(check: Check, here: Here) -> list[Finding]:
    try:
        return [check.finding(fault, here.name) for fault in check.find(here)]
    except Trouble as trouble:
        unseen = Fault(
            msg("{cluster}: could not look ({check}): {problem}", cluster=here.name, check=check.id, problem=trouble.what),
            here.name,
            remedy=trouble.remedy,
            severity="unsure",
        )  # fmt: skip
        return [check.finding(unseen, here.name)]
