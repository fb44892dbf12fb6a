"""The file format: what is read back, what is refused, what later releases may rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import MeshState, StateError, StateFolder, StateTooNew, StepRecord, schema
from tests.state.helpers import MESH, contents, remember, start

GOLDEN = Path(__file__).parent / "golden"

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def golden_state() -> MeshState:
    return MeshState(
        name=MESH,
        lineage="0123456789abcdef0123456789abcdef",
        serial=7,
        created="2026-01-02T03:04:05.678Z",
        updated="2026-01-02T03:05:06.789Z",
        written_by="0.1.0",
        operation="departure",
        payload={"leaving": ["cluster1"], "untouched": []},
        finished=False,
        document={"name": MESH, "note": "Gruß 网格", "ratio": 0.5, "none": None, "list": [1, True]},
        options={"istioctl": "/usr/bin/istioctl"},
        clusters={"cluster1": {"uid": "u-1"}},
        steps={
            "a": StepRecord("done", "h1", 2, "2026-01-02T03:04:06.000Z", "2026-01-02T03:04:07.000Z", "made"),
            "b": StepRecord("running", "h2", 1, "2026-01-02T03:05:06.789Z", extra={"later": 1}),
        },
        extra={"future": {"x": [1]}},
    )


def envelope(body: dict[str, Any], number: int = 2) -> bytes:
    """A file as any release may write it: independent of the code under test."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    checksum = "sha256:" + sha256(f"{number} {canonical}".encode()).hexdigest()
    return json.dumps({"schema": number, "checksum": checksum, "state": body}, indent=1).encode()


def golden_body() -> dict[str, Any]:
    body = json.loads((GOLDEN / "schema-2.json").read_bytes())["state"]
    assert isinstance(body, dict)
    return body


@pytest.mark.promise(6)
def test_schema_1_is_read_as_ever() -> None:
    then = replace(golden_state(), operation="apply", payload={})
    assert schema.decode((GOLDEN / "schema-1.json").read_bytes(), MESH, "x") == (then, 1)


@pytest.mark.promise(6)
def test_schema_2_is_read_and_written_as_ever() -> None:
    data = (GOLDEN / "schema-2.json").read_bytes()
    assert schema.decode(data, MESH, "x") == (golden_state(), 2)
    assert schema.encode(golden_state()) == data


@pytest.mark.promise(6)
def test_clusters_that_leave_were_options_in_schema_1() -> None:
    body = json.loads((GOLDEN / "schema-1.json").read_bytes())["state"]
    body["options"] |= {"leaving": ["cluster1"], "untouched": []}
    assert schema.decode(envelope(body, 1), MESH, "x") == (golden_state(), 1)


@pytest.mark.parametrize("options", [None, [], {"leaving": 3}])
def test_options_of_another_kind_are_damage_or_nothing_worse(options: Any) -> None:
    body = json.loads((GOLDEN / "schema-1.json").read_bytes())["state"]
    try:
        schema.decode(envelope({**body, "options": options}, 1), MESH, "x")
    except schema.Damaged:
        assert not isinstance(options, dict)


def test_layout_does_not_matter_to_the_checksum() -> None:
    assert schema.decode(envelope(golden_body()), MESH, "x") == (golden_state(), 2)


@given(PLAIN, st.text(), st.text())
def test_whatever_is_plain_comes_back(value: Any, step: str, detail: str) -> None:
    record = replace(golden_state().steps["a"], detail=detail)
    state = replace(golden_state(), document={"value": value}, steps={step: record})
    assert schema.decode(schema.encode(state), MESH, "x")[0] == state


@pytest.mark.promise(4)
@given(st.binary(max_size=200))
def test_any_bytes_are_damage_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(schema.Damaged):
        schema.decode(data, MESH, "x")


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\0" * 4096, "JSON"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"[]", "object"),
        (b'{"schema": 1, "schema": 1}', "twice"),
        (b'{"schema": NaN}', "NaN"),
        (b'{"schema": -Infinity}', "Infinity"),
        (b'{"schema": 1e999}', "1e999"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "JSON"),
        (b"[" * 500_000, "JSON"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b" " * (16 * 1024 * 1024 + 1), "16 MiB"),
        (b'{"schema": 0}', "schema"),
        (b'{"schema": true}', "schema"),
        (b'{"schema": 1, "state": {}}', "state file"),
    ],
)
def test_what_is_no_state_file(data: bytes, why: str) -> None:
    with pytest.raises(schema.Damaged, match=why):
        schema.decode(data, MESH, "x")


@pytest.mark.promise(4)
@pytest.mark.parametrize(
    "change",
    [
        {"serial": True},
        {"serial": 1.0},
        {"serial": 0},
        {"serial": "7"},
        {"finished": 1},
        {"operation": "Install!"},
        {"operation": ""},
        {"name": "mesh2"},
        {"created": "yesterday"},
        {"document": []},
        {"clusters": {"c": None}},
        {"steps": {"a": []}},
        {"steps": {"a": {"status": "done"}}},
        {"steps": {"a": {**golden_body()["steps"]["a"], "status": "dancing"}}},
        {"steps": {"a": {**golden_body()["steps"]["a"], "attempt": -1}}},
        {"steps": {"a": {**golden_body()["steps"]["a"], "ended": 5}}},
    ],
)
def test_wrong_types_are_damage_even_with_a_right_checksum(change: dict[str, Any]) -> None:
    with pytest.raises(schema.Damaged):
        schema.decode(envelope({**golden_body(), **change}), MESH, "x")


@pytest.mark.parametrize("field", sorted(golden_body()))
def test_a_missing_field_is_damage(field: str) -> None:
    body = golden_body()
    del body[field]
    if field == "future":
        assert schema.decode(envelope(body), MESH, "x")[0].extra == {}
    else:
        with pytest.raises(schema.Damaged):
            schema.decode(envelope(body), MESH, "x")


@pytest.mark.promise(6)
def test_unknown_fields_survive_writing(folder: StateFolder) -> None:
    remember(folder)
    path = folder.path_of(MESH) / "state.json"
    body = json.loads(path.read_bytes())["state"]
    body["colour"] = {"of": ["the", "future"]}
    body["steps"]["namespace/cluster1"]["mood"] = "good"
    path.write_bytes(envelope({**body, "serial": body["serial"] + 1}))
    start(folder).close()
    written = json.loads(path.read_bytes())["state"]
    assert written["colour"] == {"of": ["the", "future"]}
    assert written["steps"]["namespace/cluster1"]["mood"] == "good"


@pytest.mark.promise(6)
@pytest.mark.parametrize("file", ["state.json", "state.json.2"])
@pytest.mark.parametrize("data", [envelope({"what": "ever"}, 3), b'{"schema": 99}'])
def test_a_newer_schema_is_refused_and_not_touched(folder: StateFolder, data: bytes, file: str) -> None:
    remember(folder)
    path = folder.path_of(MESH)
    (path / file).write_bytes(data)
    before = contents(path)
    for use in (folder.read, folder.open):
        with pytest.raises(StateTooNew, match="newer meshwizard"):
            use(MESH)
    assert contents(path) == before


@pytest.mark.promise(6)
def test_an_older_schema_is_migrated_and_backed_up(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(folder)
    path = folder.path_of(MESH)
    old = (path / "state.json").read_bytes()
    monkeypatch.setattr(schema, "SCHEMA", 4)
    monkeypatch.setattr("state.folder.SCHEMA", 4)
    monkeypatch.setitem(schema.MIGRATIONS, 2, lambda body: {**body, "via": [3]})
    monkeypatch.setitem(schema.MIGRATIONS, 3, lambda body: {**body, "via": [*body["via"], 4]})

    state = folder.read(MESH)
    assert state is not None
    assert state.extra == {"via": [3, 4]}
    assert (path / "state.json").read_bytes() == old
    for _ in range(3):
        start(folder).close()
    assert (path / "state.json.schema-2").read_bytes() == old
    assert json.loads((path / "state.json").read_bytes())["schema"] == 4


@pytest.mark.promise(6)
def test_there_is_a_migration_from_every_older_schema_and_a_golden_file_of_each() -> None:
    assert set(schema.MIGRATIONS) == set(range(1, schema.SCHEMA))
    for number in range(1, schema.SCHEMA + 1):
        assert (GOLDEN / f"schema-{number}.json").exists()


def test_nothing_is_written_that_could_not_be_read(folder: StateFolder) -> None:
    with start(folder) as journal:
        before = journal.state
        with pytest.raises(StateError, match="more than"):
            journal.start("apply", {"big": "x" * schema.LIMIT}, {}, {})
        assert folder.read(MESH) == before
        journal.finish(True)
