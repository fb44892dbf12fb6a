"""A plan that somebody agreed to, in a file: what `plan --out` writes and `apply --plan` holds the run to.

Of what the look found it keeps digests only, so that nothing of a cluster can be read from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wizard.console.files import write
from wizard.engine.approval import Approval, Seen
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.reading import read
from wizard.text import one_line

API = "meshwizard/v1"
MAX_BYTES = 16 << 20
_STATES = frozenset({"done", "needed", "conflict", "unknown"})


def save(path: Path, mesh: str, approval: Approval, *, overwrite: bool) -> None:
    """Write it, for its owner's eyes only. BadInput where the file exists and may not be overwritten."""
    steps = {
        id: {"inputs": seen.inputs, "state": seen.state, "digests": sorted(seen.digests)}
        for id, seen in approval.steps.items()
    }
    shape = {
        "apiVersion": API,
        "kind": "Plan",
        "mesh": mesh,
        "state": approval.state or "",
        "clusters": dict(approval.clusters),
        "leaving": sorted(approval.leaving),
        "steps": steps,
    }
    write(path, json.dumps(shape, indent=1, sort_keys=True) + "\n", overwrite=overwrite, mode=0o600)


def load(path: Path, mesh: str, again: str) -> Approval:
    """What was agreed to, for this mesh. `again`: how to look again, in a sentence. BadInput where the file is no plan,
    Stale where it is another mesh's.
    """
    shape = _parsed(path, again)
    try:
        found = Approval(
            {_text(id): _seen(step) for id, step in shape["steps"].items()},
            again,
            _text(shape["state"]),
            {_text(name): _text(identity) for name, identity in shape["clusters"].items()},
            tuple(_text(name) for name in _list(shape["leaving"])),
        )
        whose = _text(shape["mesh"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _malformed(path, msg("something in it is missing or of another kind"), again) from error
    if whose != mesh:
        raise found.stale(msg("{file} is a plan of mesh {mesh}", file=one_line(path), mesh=one_line(whose)))
    return found


def _parsed(path: Path, again: str) -> dict[str, Any]:
    try:
        content = read(path, MAX_BYTES, piped=True)
    except ValueError as error:
        raise BadInput(msg("{file} {problem}", file=one_line(path), problem=error.args[0]), again) from error
    try:
        shape = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, msg("it is no JSON"), again) from error
    if not isinstance(shape, dict) or (shape.get("apiVersion"), shape.get("kind")) != (API, "Plan"):
        raise _malformed(path, msg("it is no Plan of {version}", version=API), again)
    return shape


def _malformed(path: Path, why: str, again: str) -> BadInput:
    what = msg("{file} is no plan that can be used: {reason}; nothing was touched", file=one_line(path), reason=why)
    return BadInput(what, again)


def _seen(step: Any) -> Seen:
    state = _text(step["state"])
    if state not in _STATES:
        raise ValueError(state)
    return Seen(_text(step["inputs"]), state, frozenset(_text(each) for each in _list(step["digests"])))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value
