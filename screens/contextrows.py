"""What is shown of a context: the cells of its row, and all that is known of it below the table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from screens.candidates import Candidate, ContextId
from screens.lines import Line, Piece
from wizard.clusters.contexts import ENVIRONMENT
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.outside import ContextFacts

NOT_ASKED, ASKING, YES, BELOW, NO = msg("not asked"), msg("asking"), msg("✓ yes"), msg("! below"), msg("✗ no")
ALL, NONE = msg("✓ all"), msg("none")


class Column(NamedTuple):
    """`least`: cells, 0: what the others leave. `words`: what may stand in it; it is as wide as they need. `apart`: a blank keeps
    it from what stands before it.
    """

    title: str
    least: int
    words: tuple[str, ...] = ()
    apart: bool = False

    @property
    def head(self) -> str:
        """What stands over it."""
        return " " * self.apart + rendered(self.title)

    @property
    def width(self) -> int:
        """In cells; 0: what the others leave."""
        longest = max(cell_len(rendered(text)) for text in (self.title, *self.words))
        return max(self.least, longest + self.apart + 1) if self.least else 0


CONTEXT = msg("Context")
COLUMNS = (
    Column("#", 5),
    Column(CONTEXT, 0),
    Column(msg("Answers"), 11, (NOT_ASKED, ASKING, YES, BELOW, NO), apart=True),
    Column(msg("Version"), 9),
    Column(msg("Nodes"), 6),
    Column(msg("Rights"), 8, (ALL,)),
    Column(msg("Istio"), 8, (NONE,)),
    Column(msg("Clock"), 6),
)
SLOW = 2.0  # seconds of waiting after which one wants to know what for
MUCH_CLOCK = 5.0
CUT = "\0"


def cells_of(candidate: Candidate, name: str, number: int | None, *, ascii_only: bool) -> list[str]:
    """The cells of its row, in the order of the columns. `number`: of the cluster that it is chosen as."""
    from rich.text import Text

    facts = candidate.facts
    mark = f"[{number}]" if number else "[ ]"
    if candidate.held_back:
        cells = [mark, name, f" {rendered(NOT_ASKED)}", "", "", "", "", ""]
    elif facts is None:
        waited = time.monotonic() - (candidate.looked_since or time.monotonic())
        state = tr("… {seconds:.0f} s", seconds=waited) if waited >= SLOW else rendered(ASKING)
        cells = [mark, name, f" {state}", "", "", "", "", ""]
    elif not facts.reachable:
        cells = [mark, name, f" {rendered(NO)}", "", "", "", "", ""]
    else:
        clock = "" if facts.clock_offset is None else tr("{offset:+.0f} s", offset=facts.clock_offset)
        missing = len(facts.missing_rights)
        rights = tr("lacks {count}", count=missing) if missing else rendered(ALL)
        nodes = f"{facts.ready_nodes}/{facts.nodes}"
        cells = [
            mark, name, f" {rendered(BELOW if facts.problem else YES)}", one_line(facts.version, 10), nodes,
            rights, one_line(rendered(facts.istio), 8) or rendered(NONE), clock,
        ]  # fmt: skip
    if ascii_only:
        cells = [cell.replace("✓ ", "").replace("✗", "x").replace("…", "") for cell in cells]
    # Rich Text is shown as it is; a plain str would be read as markup.
    style = "bold" if number else ""
    return [Text(cell, style=style, no_wrap=True, overflow="ellipsis") for cell in cells]  # type: ignore[misc]


def key_of(context: ContextId) -> str:
    """The key of a context's row."""
    return "\0".join(context)


def detail_of(candidate: Candidate) -> list[Line]:
    """All that is known of a context, in lines."""
    entry, facts = candidate.entry, candidate.facts
    kubeconfig = entry.kubeconfig or ENVIRONMENT
    user = tr("{user} ({credentials})", user=one_line(entry.user), credentials=one_line(rendered(entry.credentials)))
    lines: list[Line] = [
        [
            Piece(one_line(entry.context), "name"),
            Piece("  " + tr("in {kubeconfig}", kubeconfig=one_line(kubeconfig)), "muted"),
        ],
        [
            *_spans(msg("server {address}", address=CUT), one_line(entry.server)),
            *_spans(msg("user {user}", user=CUT), user, before="  "),
        ],
    ]
    if candidate.held_back:
        lines.append(
            _spans(msg("runs {command} once it is chosen, or asked with R", command=CUT), rendered(str(entry.plugin)))
        )
    elif facts is None:
        lines.append([Piece(tr("waiting for the API server at {address}", address=one_line(entry.server)), "working")])
    else:
        lines += _found(facts)
    return lines


def _found(facts: ContextFacts) -> Iterator[Line]:
    if facts.problem:
        problem = one_line(rendered(facts.problem), 600)
        yield [Piece(problem, "broken" if not facts.reachable else "working")]
    if facts.missing_rights:
        rights = one_line(", ".join(map(rendered, facts.missing_rights)), 600)
        yield _spans(msg("may not: {rights}", rights=CUT), rights, role="working")
    if facts.reachable:
        addresses = one_line(", ".join(facts.addresses)) or tr("none found")
        line = _spans(msg("node addresses {addresses}", addresses=CUT), addresses)
        if facts.load_balancer:
            balancer = one_line(rendered(facts.load_balancer))
            line += _spans(msg("load balancer: {service}", service=CUT), balancer, before="  ")
        yield line
    if facts.clock_offset is not None and abs(facts.clock_offset) >= MUCH_CLOCK:
        told = tr(
            "its clock differs by {offset:+.0f} s from this machine's: certificates may be refused",
            offset=facts.clock_offset,
        )
        yield [Piece(told, "working")]


def _spans(told: str, value: str, *, role: str = "muted", before: str = "") -> list[Piece]:
    """What is told of a value, with the words around it in this role. `told` has `CUT` in the value's place."""
    head, _, tail = rendered(told).partition(CUT)
    return [piece for piece in (Piece(before + head, role), Piece(value), Piece(tail, role)) if piece.text]
