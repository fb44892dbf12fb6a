"""The file format: `{"schema": N, "checksum": "sha256:…", "state": {…}}`.

The envelope never changes, whatever the schema: these three keys, and a checksum over the schema number and the
canonical JSON (sorted keys, no spaces, ASCII) of the state. Within one schema fields may be added, and a program that
does not know them keeps them. A new status needs a new schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from typing import Any, TypeVar, cast

from .errors import StateError, StateTooNew
from .message import msg
from .records import OPERATION, STATUSES, MeshState, Status, StepRecord

SCHEMA = 2
LIMIT = 16 * 1024 * 1024  # bytes; far above 50 clusters (some 200 kB), far below what hurts to read


def _with_payload(body: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 recorded clusters that leave a mesh as options of an apply."""
    options = dict(_field(body, "options", dict))
    payload = {key: options.pop(key) for key in ("leaving", "untouched") if key in options}
    operation = "departure" if payload.get("leaving") else body.get("operation")
    return {**body, "operation": operation, "options": options, "payload": payload if operation == "departure" else {}}


# from schema N to N + 1: takes the state object of the older file, which it may change, and returns the newer one
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _with_payload}

_T = TypeVar("_T")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_MESH_FIELDS = frozenset(MeshState.__dataclass_fields__) - {"extra"}
_STEP_FIELDS = frozenset(StepRecord.__dataclass_fields__) - {"extra"}


class Damaged(Exception):
    """The bytes are not a state file. Its text, a message, completes "the file …"."""


def encode(state: MeshState) -> bytes:
    """The whole file for `state`. StateError if it would be too big to be read again."""
    body: dict[str, Any] = {**state.extra, **{name: getattr(state, name) for name in _MESH_FIELDS}}
    body["steps"] = {
        step: {**record.extra, **{name: getattr(record, name) for name in _STEP_FIELDS}}
        for step, record in state.steps.items()
    }
    canonical = _canonical(body)
    data = f'{{"schema":{SCHEMA},"checksum":"{_checksum(SCHEMA, canonical)}","state":{canonical}}}\n'.encode("ascii")
    if len(data) > LIMIT:
        raise StateError(
            msg(
                "The state of {mesh} would be {size} bytes, more than {limit}.",
                mesh=state.name,
                size=len(data),
                limit=LIMIT,
            ),
            msg("Give the mesh a smaller document: files belong beside it, not into it."),
        )
    return data


def decode(data: bytes, name: str, path: object) -> tuple[MeshState, int]:
    """The state of mesh `name` in these bytes, and the schema they were written in. Not to be changed: who asks for the same
    bytes again gets the same state.

    Raises Damaged, or StateTooNew where a newer release wrote them.
    """
    state, schema = _decoded(data)
    if state is None:
        raise StateTooNew(
            msg(
                "{path} was written by a newer meshwizard (schema {schema}; this one knows up to {known}).",
                path=path,
                schema=schema,
                known=SCHEMA,
            ),
            msg("Use the newer meshwizard. The file was not touched."),
        )
    if state.name != name:
        raise Damaged(msg("holds the state of another mesh, {mesh}", mesh=state.name))
    return state, schema


@lru_cache(maxsize=8)  # a run reads all generations several times, and most of them change their names only
def _decoded(data: bytes) -> tuple[MeshState | None, int]:
    """The state and its schema; no state where that schema is a newer one."""
    envelope = _parse(data)
    if type(envelope) is not dict:
        raise Damaged(msg("is not a JSON object"))
    schema = envelope.get("schema")
    if type(schema) is int and schema > SCHEMA:
        # Before the checksum: a file of the future is left alone even where it cannot be verified.
        return None, schema
    if type(schema) is not int or schema < 1:
        raise Damaged(msg("has no schema number"))
    if envelope.keys() != {"schema", "checksum", "state"} or type(envelope["state"]) is not dict:
        raise Damaged(msg("is not a state file"))
    if envelope["checksum"] != _checksum(schema, _canonical(envelope["state"])):
        raise Damaged(msg("does not match its checksum"))
    body = envelope["state"]
    for old in range(schema, SCHEMA):
        body = MIGRATIONS[old](body)
    return _mesh(body), schema


def _canonical(body: object) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _checksum(schema: int, canonical: str) -> str:
    return f"sha256:{sha256(f'{schema} {canonical}'.encode()).hexdigest()}"


def _parse(data: bytes) -> Any:
    if len(data) > LIMIT:
        raise Damaged(msg("is larger than {limit} MiB", limit=LIMIT // 1024 // 1024))
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise Damaged(msg("is not UTF-8 text")) from None
    except (ValueError, RecursionError):  # also integers too long to convert, and nesting too deep to follow
        raise Damaged(msg("is empty, cut short or not JSON") if len(data) else msg("is empty")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Damaged(msg("has a key twice"))
    return found


def _finite(number: str) -> float:
    value = float(number)
    return value if isfinite(value) else _refuse(number)


def _refuse(constant: str) -> float:
    raise Damaged(msg("holds the number {number}", number=constant[:20]))


def _mesh(body: dict[str, Any]) -> MeshState:
    operation = _field(body, "operation", str)
    if not OPERATION.fullmatch(operation):
        raise Damaged(msg("has no proper operation"))
    clusters = _field(body, "clusters", dict)
    steps = _field(body, "steps", dict)
    if not all(type(facts) is dict for facts in clusters.values()):
        raise Damaged(msg("has a cluster that is not an object"))
    if not all(type(record) is dict for record in steps.values()):
        raise Damaged(msg("has a step that is not an object"))
    serial = _field(body, "serial", int)
    if serial < 1:
        raise Damaged(msg("has a serial below 1"))
    return MeshState(
        name=_field(body, "name", str),
        lineage=_field(body, "lineage", str),
        serial=serial,
        created=_time(body, "created"),
        updated=_time(body, "updated"),
        written_by=_field(body, "written_by", str),
        operation=operation,
        finished=_field(body, "finished", bool),
        document=_field(body, "document", dict),
        payload=_field(body, "payload", dict),
        options=_field(body, "options", dict),
        clusters=clusters,
        steps={step: _step(record) for step, record in steps.items()},
        extra=_others(body, _MESH_FIELDS),
    )


def _step(body: dict[str, Any]) -> StepRecord:
    status = _field(body, "status", str)
    if status not in STATUSES:
        raise Damaged(msg("has a step of unknown status"))
    attempt = _field(body, "attempt", int)
    if attempt < 0:
        raise Damaged(msg("has a negative attempt"))
    return StepRecord(
        status=cast(Status, status),
        inputs=_field(body, "inputs", str),
        attempt=attempt,
        began=_time(body, "began"),
        ended=None if body.get("ended", "") is None else _time(body, "ended"),
        detail=_field(body, "detail", str),
        extra=_others(body, _STEP_FIELDS),
    )


def _field(body: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = body.get(name)
    if type(value) is not kind:  # exactly: to isinstance, true is an int
        raise Damaged(msg("has no proper {field}", field=name))
    return value


def _time(body: Mapping[str, Any], name: str) -> str:
    value = _field(body, name, str)
    if not _TIME.fullmatch(value):
        raise Damaged(msg("has no proper time in {field}", field=name))
    return value


def _others(body: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in known}
