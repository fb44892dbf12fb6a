"""What is shown of a context: the cells of its row, and all that is known of it below the table."""

from __future__ import annotations

import time

from screens.candidates import Candidate, ContextId
from screens.lines import Line, Piece
from wizard.clusters.contexts import ENVIRONMENT
from wizard.text import one_line

COLUMNS = (
    ("#", 5),
    ("Context", 0),
    (" Answers", 11),  # the space keeps a long context apart
    ("Version", 9),
    ("Nodes", 6),
    ("Rights", 8),
    ("Istio", 8),
    ("Clock", 6),
)
SLOW = 2.0  # seconds of waiting after which one wants to know what for
MUCH_CLOCK = 5.0


def cells_of(candidate: Candidate, name: str, number: int | None, *, ascii_only: bool) -> list[str]:
    """The cells of its row, in the order of the columns. `number`: of the cluster that it is chosen as."""
    from rich.text import Text

    facts = candidate.facts
    mark = f"[{number}]" if number else "[ ]"
    if candidate.held_back:
        cells = [mark, name, " not asked", "", "", "", "", ""]
    elif facts is None:
        waited = time.monotonic() - (candidate.looked_since or time.monotonic())
        state = f"… {waited:.0f} s" if waited >= SLOW else "asking"
        cells = [mark, name, f" {state}", "", "", "", "", ""]
    elif not facts.reachable:
        cells = [mark, name, " ✗ no", "", "", "", "", ""]
    else:
        clock = "" if facts.clock_offset is None else f"{facts.clock_offset:+.0f} s"
        rights = f"lacks {len(facts.missing_rights)}" if facts.missing_rights else "✓ all"
        nodes = f"{facts.ready_nodes}/{facts.nodes}"
        cells = [
            mark, name, " ✓ yes" if not facts.problem else " ! below", one_line(facts.version, 10), nodes,
            rights, one_line(facts.istio, 8) or "none", clock,
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
    lines: list[Line] = [
        [Piece(one_line(entry.context), "name"), Piece(f"  in {one_line(entry.kubeconfig or ENVIRONMENT)}", "muted")],
        [Piece("server ", "muted"), Piece(one_line(entry.server)), Piece("  user ", "muted"),
         Piece(f"{one_line(entry.user)} ({one_line(entry.credentials)})")],
    ]  # fmt: skip
    if candidate.held_back:
        lines.append(
            [Piece("runs ", "muted"), Piece(str(entry.plugin)), Piece(" once it is chosen, or asked with R", "muted")]
        )
        return lines
    if facts is None:
        lines.append([Piece(f"waiting for the API server at {one_line(entry.server)}", "working")])
        return lines
    if facts.problem:
        lines.append([Piece(one_line(facts.problem, 600), "broken" if not facts.reachable else "working")])
    if facts.missing_rights:
        lines.append([Piece("may not: ", "working"), Piece(one_line(", ".join(facts.missing_rights), 600))])
    if facts.reachable:
        addresses = one_line(", ".join(facts.addresses)) or "none found"
        balancer = (
            [Piece("  load balancer: ", "muted"), Piece(one_line(facts.load_balancer))] if facts.load_balancer else []
        )
        lines.append([Piece("node addresses ", "muted"), Piece(addresses), *balancer])
    if facts.clock_offset is not None and abs(facts.clock_offset) >= MUCH_CLOCK:
        said = f"its clock differs by {facts.clock_offset:+.0f} s from this machine's: certificates may be refused"
        lines.append([Piece(said, "working")])
    return lines
