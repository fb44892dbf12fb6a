"""An API server that answers without end: whatever it does, a call ends with a sentence, and the memory stays bounded."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.unit.api_fakes import Api, Asked, Endless, Reaction, Said, api, kubeconfig, thing, upgraded
from wizard.clusters import bounds
from wizard.clusters.bounds import MAX_FRAME, TooMuch, parsed, size
from wizard.clusters.kinds import CONFIG_MAP, CRD, NODE, POD, Ref
from wizard.clusters.patience import Patience
from wizard.clusters.real import RealCluster
from wizard.errors import Failed

pytestmark = [pytest.mark.core, pytest.mark.inputs("S9")]
MOST = 300  # MiB
QUICK = Patience(connect=5.0, silence=20.0, total=20.0, pauses=(0.01,), plugin=3.0, mute=0.0, parked=0.5)
# What the child does: one call, then it tells the sentence that it got, and its peak of memory in KiB.
CHILD = """
import sys
from pathlib import Path
from wizard.clusters.kinds import CONFIG_MAP, POD, Ref
from wizard.clusters.real import RealCluster
from wizard.errors import Failed
east = RealCluster("east", Path(sys.argv[1]), "ours")
calls = {
    "list": lambda: east.objects(POD),
    "get": lambda: east.get(Ref(CONFIG_MAP, "one", "default")),
    "apply": lambda: east.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "b"}}),
    "execute": lambda: east.execute(Ref(POD, "one", "default"), "main", ["true"], seconds=30),
}
try:
    told = repr(calls[sys.argv[2]]())[:500]
except Failed as failure:
    told = f"Failed: {failure.what} {failure.remedy}"
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")]
print(peak, told)
"""
_pages = count()
_ITEM = json.dumps({**thing("a"), "spec": {"containers": [{"name": "a" * 60, "image": "b" * 60}] * 40}})


def said(body: str) -> Said:
    return Said(body=body.encode())


def page(_: Asked) -> Said:
    return said(f'{{"metadata": {{"continue": "{next(_pages)}"}}, "items": [{",".join([_ITEM] * 400)}]}}')


def frame(length: int, *, last: bool, operation: int = 2) -> bytes:
    return struct.pack("!BBQ", operation | (0x80 if last else 0), 127, length)


# what is asked, and what comes
HOSTILE: dict[str, tuple[str, Callable[[Asked], Reaction]]] = {
    "pages without end": ("list", page),
    "15 MB of empty objects": ("list", lambda _: said('{"items": [' + "{}," * 5_000_000 + "{}]}")),
    "15 MB of names": (
        "get", lambda _: said("{" + ",".join(f'"{number}":"{number}"' for number in range(900_000)) + ', "a": 1}'),
    ),
    "an answer of wide characters": ("get", lambda _: said('{"data": {"a": "' + "\U0001f600" * 4_000_000 + '"}}')),
    "an answer without end": ("get", lambda _: Endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[", b"1," * 50_000)),
    "an error without end": ("apply", lambda _: Endless(b"HTTP/1.1 500 No\r\nConnection: close\r\n\r\n[", b"{}," * 50_000)),
    "15 MB of empty objects as an error": ("get", lambda _: Said(500, b"[" + b"{}," * 5_000_000 + b"{}]")),
    "a message of 2^40 bytes": ("execute", lambda asked: Endless(upgraded(asked) + frame(1 << 40, last=True), b"x" * 65_536)),
    "a message without a last part": (
        "execute",
        lambda asked: Endless(
            upgraded(asked) + frame(1000, last=False) + b"\x01" * 1000,
            (frame(1000, last=False, operation=0) + b"x" * 1000 + b"\x8a\x00") * 60,
        ),
    ),
    "headers without end": ("execute", lambda _: Endless(b"HTTP/1.1 101 Yes\r\n", b"X: " + b"y" * 60_000)),
    "a refusal without end": (
        "execute", lambda _: Endless(b"HTTP/1.1 403 No\r\nContent-Length: 1099511627776\r\n\r\n", b"y" * 60_000),
    ),
}  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(server: Api, tmp_path: Path) -> Iterator[RealCluster]:
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"token": "abc"})
    made = RealCluster("east", config, "ours", QUICK)
    yield made
    made.close()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_the_memory_stays_bounded(server: Api, tmp_path: Path, hostile: str) -> None:
    call, server.react = HOSTILE[hostile]
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"token": "abc"})
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(config), call],
        capture_output=True, text=True, check=True, timeout=120, env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )  # fmt: skip
    peak, _, told = done.stdout.partition(" ")
    assert told.startswith("Failed: east: "), told
    assert int(peak) < MOST << 10, told


def test_where_objects_are_large_fewer_are_asked_for(
    server: Api, cluster: RealCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.clusters.wire.MAX_ANSWER", 80_000)
    limits = []

    def react(asked: Asked) -> Said:
        limit = int(asked.path.partition("limit=")[2].partition("&")[0])
        limits.append(limit)
        first = "continue" not in asked.path
        items = [{**thing(f"{first}-{index}"), "data": {"a": "b" * 3000}} for index in range(min(limit, 30))]
        return Said(body={"items": items, "metadata": {"continue": "more" if first else ""}})

    server.react = react
    assert len(cluster.objects(CONFIG_MAP)) == 40
    assert limits == [500, 100, 20, 20]
    monkeypatch.setattr("wizard.clusters.wire.MAX_ANSWER", 5_000)
    with pytest.raises(Failed, match="east: list configmaps: its answer is longer than"):
        cluster.objects(CONFIG_MAP)


def test_what_nobody_reads_of_long_lists_is_not_kept(server: Api, cluster: RealCluster) -> None:
    versions = [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": {}}}]
    spec = {"group": "a.io", "names": {"kind": "A", "plural": "as"}, "versions": versions}
    server.react = lambda _: Said(body={"items": [{**thing("as.a.io"), "spec": spec}]})
    (found,) = cluster.objects(CRD)
    assert found["spec"]["versions"] == [{"name": "v1", "served": True}]
    server.react = lambda _: Said(
        body={"items": [{**thing("a"), "status": {"images": [{"names": ["a"]}], "phase": "x"}}]}
    )
    assert cluster.objects(NODE)[0]["status"] == {"phase": "x"}


def test_a_whole_list_has_a_bound(server: Api, cluster: RealCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.clusters.real.MAX_LIST", 1 << 20)
    server.react = page
    with pytest.raises(Failed, match=r"east: list pods: there are so many that they come to more than 1 MiB") as told:
        cluster.objects(POD)
    assert told.value.remedy


def test_a_command_may_say_as_much_as_before(server: Api, cluster: RealCluster) -> None:
    end = b'\x03{"status":"Success"}'
    part = frame(40_001, last=True) + b"\x01" + b"x" * 40_000
    close = struct.pack("!BBH", 0x88, 2, 1000)
    server.react = lambda asked: Said(
        raw=upgraded(asked) + part * 30 + b"\x82" + bytes([len(end)]) + end + close, close=True
    )
    done = cluster.execute(Ref(POD, "one", "default"), "main", ["true"], seconds=20)
    assert (done.code, done.stdout) == (0, "x" * MAX_FRAME)


@pytest.mark.parametrize(
    "text",
    [
        "[" + "{}," * 20_000 + "1]",
        "[" + "[]," * 20_000 + "1]",
        "[" + '"ab",' * 20_000 + "1]",
        "[" + '{"a":{"b":[1.5]}},' * 20_000 + "1]",
        "{" + ",".join(f'"{number}":"{number}"' for number in range(20_000)) + "}",
        '["' + "\U0001f600" * 20_000 + '"]',
        _ITEM,
    ],
    ids=["objects", "lists", "texts", "nested", "names", "wide", "a Pod"],
)
def test_what_is_parsed_takes_no_more_than_was_reckoned(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = text.encode()
    taken = size(json.loads(data))
    monkeypatch.setattr(bounds, "MAX_PARSED", taken - 1)
    with pytest.raises(TooMuch):
        parsed(data)
