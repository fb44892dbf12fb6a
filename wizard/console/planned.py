"""A plan beside what a look at the clusters found: as lines for a person, as plain data for a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard import kinds
from wizard.board import Board
from wizard.console.output import Output, speaks_unicode
from wizard.engine.progress import Look
from wizard.engine.step import Conflict, Difference, Done, Needed, Plan, Step
from wizard.errors import Trouble
from wizard.mesh.drawing import draw
from wizard.mesh.files import files_of
from wizard.mesh.model import Mesh
from wizard.messages import counted, joined, msg
from wizard.messages.catalogue import rendered
from wizard.messages.cells import padded, widest
from wizard.text import one_line, printable

_MARKS = {"done": ("✔", "green"), "needed": ("▸", "cyan"), "conflict": ("⚠", "yellow"), "unknown": ("✘", "red")}


@dataclass(frozen=True)
class Found:
    """One step and what a look at it found. `state`: done, needed, conflict, or unknown where the look failed."""

    step: Step
    state: str
    note: str = ""
    differences: tuple[Difference, ...] = ()
    what: str = ""
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data, of a shape that stays."""
        return {
            "id": self.step.id,
            "cluster": self.step.cluster,
            "title": self.step.title,
            "state": self.state,
            "note": self.note,
            "differences": [
                {"object": each.object, "field": each.field, "found": each.found, "wanted": each.wanted, "by": each.by}
                for each in self.differences
            ],
            "commands": [command.text for command in self.step.commands()],
            "what": self.what,
            "remedy": self.remedy,
        }


def found(plan: Plan, looks: Mapping[str, Look]) -> list[Found]:
    """Every step that was looked at, in the plan's order."""
    return [_found(step, looks[step.id]) for step in plan.steps if step.id in looks]


def _found(step: Step, look: Look) -> Found:
    match look:
        case Done():
            return Found(step, "done", note=look.note)
        case Needed():
            return Found(step, "needed", differences=look.differences)
        case Conflict() | Trouble():
            state = "conflict" if isinstance(look, Conflict) else "unknown"
            return Found(step, state, what=printable(look.what), remedy=printable(look.remedy))


def exit_code(steps: list[Found]) -> int:
    """1 where a look failed, 3 where there is a conflict, else 0."""
    states = {each.state for each in steps}
    return 1 if "unknown" in states else 3 if "conflict" in states else 0


def drawing(mesh: Mesh, steps: list[Found] | None = None) -> str:
    """The mesh drawing as text, with what the look found on its arrows."""
    board = Board(mesh)
    for each in steps or ():
        state = {"unknown": "waiting", "needed": "waiting"}.get(each.state, each.state)
        board.step(each.step.kind, each.step.cluster, each.step.peer, state)
    return draw(mesh, links=board.links, width=100, ascii=not speaks_unicode(), say=rendered).plain()


def lines(steps: list[Found], out: Output) -> Iterator[str]:
    """The steps with their differences; with `verbose` also the commands that a person could type instead."""
    width = widest(each.step.cluster or "" for each in steps)
    for each in steps:
        mark, color = _MARKS[each.state]
        told = each.step.title
        if each.note:
            told = msg("{title}: {detail}", title=told, detail=one_line(each.note))
        yield f"{out.style(mark, color)} {padded(each.step.cluster or '', width)}  {rendered(told)}"
        for difference in each.differences:
            yield f"      {rendered(one_line(difference.told, 600))}"
        for text in (each.what, each.remedy):
            if text:
                yield from (f"      {line}" for line in rendered(text).splitlines())
        if out.verbose and each.state != "done":
            for command in each.step.commands():
                if command.why:
                    yield f"      # {rendered(one_line(command.why))}"
                yield from (f"      $ {line}" if number == 0 else f"        {line}"
                            for number, line in enumerate(printable(command.text, 20_000).splitlines()))  # fmt: skip


def files(mesh: Mesh) -> Iterator[str]:
    """A line for each file of this machine whose content goes to a cluster, or signs what does."""
    for each in files_of(mesh):
        yield msg("File {file}", file=one_line(each.told, 600))


def half_linked(steps: list[Found]) -> list[tuple[str, str]]:
    """(reader, silent) of every pair of which only the first reads the other's API server. Where a look failed nobody knows."""
    states = {
        (each.step.cluster or "", each.step.peer or ""): each.state
        for each in steps
        if each.step.kind == kinds.REMOTE_SECRET
    }
    return [
        (reader, peer)
        for (reader, peer), state in states.items()
        if state == "done" and states.get((peer, reader)) in ("needed", "conflict")
    ]


def halves(steps: list[Found], repair: str) -> Iterator[str]:
    """A sentence for each of those pairs. `repair`: the command that links them wholly."""
    for reader, silent in half_linked(steps):
        yield msg(
            "{reader} and {silent} are half-linked: {reader} reads {silent}, but {silent} does not read {reader}, so callers in "
            "{silent} hear nothing of {reader}. Repair: {command}",
            reader=reader,
            silent=silent,
            command=one_line(repair, 600),
        )


def summary(steps: list[Found]) -> str:
    """How much there is to do, in a sentence."""
    count = {state: sum(each.state == state for each in steps) for state in _MARKS}
    if count["done"] == len(steps):
        return counted(
            "nothing to do: all {count} steps are done", "nothing to do: all {count} steps are done", len(steps)
        )
    parts = [
        counted(
            "{needed} of {count} steps to do", "{needed} of {count} steps to do", len(steps), needed=count["needed"]
        )
    ]
    if count["conflict"]:
        parts.append(
            counted(
                "{count} in conflict with what somebody else made",
                "{count} in conflict with what somebody else made",
                count["conflict"],
            )
        )
    if count["unknown"]:
        parts.append(counted("{count} could not be looked at", "{count} could not be looked at", count["unknown"]))
    return joined(parts, ", ")
