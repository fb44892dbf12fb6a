"""Every call × every bad answer, before a real API server: it succeeds and its object is there, once, or a trouble says why.

What each combination must end in is written out in `expected`, so a call that gives up too early fails as well as one that claims
what is not so. After each trouble the call is made again, as a resumed run would, and must come right.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.faults.client import Object
from tests.faults.controlplane import ControlPlane, alone
from tests.faults.keys import kubeconfig
from tests.faults.proxy import Answer, Drip, Drop, Fault, Hang, Proxy, Request
from wizard.clusters.kinds import CONFIG_MAP, NAMESPACE, Ref
from wizard.clusters.patience import Patience
from wizard.clusters.port import Outdated
from wizard.clusters.real import RealCluster
from wizard.errors import Failed, NotAllowed, NotKnown, Trouble, Unreachable

PATIENCE = Patience(connect=2.0, silence=1.5, total=5.0, pauses=(0.1, 0.2, 0.4), plugin=5.0, parked=0.1)
AT_ONCE = 8


def _says(status: int, **headers: str) -> Answer:
    return Answer(status, b'{"kind":"Status","apiVersion":"v1","message":"so the proxy says"}', headers)


FAULTS: dict[str, Fault] = {
    "401": _says(401),
    "403": _says(403),
    "409": _says(409),
    "410": _says(410),
    "429": _says(429, **{"Retry-After": "1"}),
    "500": _says(500),
    "502": Answer(502, b"<html>Bad Gateway</html>"),
    "503": _says(503),
    "504": _says(504),
    "reset before": Drop(after_commit=False),
    "reset after": Drop(after_commit=True),
    "hang": Hang(7.0),
    "drip": Drip(2.0),
}
PASSING = {"500", "502", "503", "504", "reset before", "reset after"}


@dataclass(frozen=True)
class Call:
    """`run` does it and gives what came of it, as `right` must find it."""

    name: str
    repeatable: bool
    run: Callable[[RealCluster, str], object]
    right: Callable[[object, Looker], bool]


@dataclass(frozen=True)
class Looker:
    """Looks past the proxy, into one namespace."""

    plane: ControlPlane
    namespace: str

    def data(self, name: str) -> dict[str, str] | None:
        found = self.plane.client.get(Ref(CONFIG_MAP, name, self.namespace))
        return None if found is None else found["data"]

    def there(self) -> bool:
        return self.plane.client.get(Ref(NAMESPACE, self.namespace)) is not None


def _delete_one(cluster: RealCluster, namespace: str) -> object:
    ref = Ref(CONFIG_MAP, "one", namespace)
    found = cluster.get(ref)
    return cluster.delete(ref, uid=found["metadata"]["uid"]) if found else None


def _map(namespace: str, name: str, value: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": value}}


def _create(cluster: RealCluster, namespace: str) -> object:
    try:
        return cluster.create(_map(namespace, "two", "new"))
    except Outdated:
        # As those do who create: it is there, perhaps by our own hand.
        found = cluster.get(Ref(CONFIG_MAP, "two", namespace))
        if found is not None and found["data"] == {"a": "new"}:
            return "there"
        raise


def _replace(cluster: RealCluster, namespace: str) -> object:
    found = cluster.get(Ref(CONFIG_MAP, "two", namespace))
    assert found is not None
    return cluster.replace({**found, "data": {"a": "newer"}})


CALLS = [
    Call(
        "apply a namespace", True,
        lambda cluster, at: cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": at}}),
        lambda _, look: look.there(),
    ),
    Call(
        "apply", True,
        lambda cluster, at: cluster.apply(_map(at, "one", "b")),
        lambda _, look: look.data("one") == {"a": "b"},
    ),
    Call(
        "get", True,
        lambda cluster, at: cluster.get(Ref(CONFIG_MAP, "one", at)),
        lambda got, _: isinstance(got, dict) and got["data"] == {"a": "b"},
    ),
    Call(
        "list", True,
        lambda cluster, at: cluster.objects(CONFIG_MAP, at),
        lambda got, _: isinstance(got, list) and [each["metadata"]["name"] for each in got] == ["one"],
    ),
    Call("create", False, _create, lambda _, look: look.data("two") == {"a": "new"}),
    Call("read and replace", False, _replace, lambda _, look: look.data("two") == {"a": "newer"}),
    Call(
        "read and delete that one", True,
        _delete_one,
        lambda got, look: got is True and look.data("one") is None,
    ),
    Call(
        "delete", False,
        lambda cluster, at: cluster.delete(Ref(CONFIG_MAP, "two", at)),
        lambda got, look: got is True and look.data("two") is None,
    ),
]  # fmt: skip
# The request of each call that is met: some read first.
REQUESTS = [(number, 1) for number in range(len(CALLS))] + [(5, 2), (6, 2)]


def expected(call: Call, fault: str, request: Request | None, *, always: bool) -> type[Trouble] | None:
    """What a call must end in; None is success."""
    reading = request is not None and request.method == "GET"
    repeatable = call.repeatable or reading
    match fault:
        case "401":
            return NotKnown if always else None
        case "403":
            return NotAllowed
        case "409":
            return None if not always and call.name.startswith("apply") else Outdated
        case "410":
            return None if not always and call.name == "list" else Failed
        case "429":
            return Unreachable if always else None
        case "500":
            return Failed if always or not repeatable else None
        case "hang":
            return Unreachable if always or not reading else None
        case "drip":
            return Unreachable
    assert fault in PASSING
    return Unreachable if always or not repeatable else None


@pytest.fixture(scope="module")
def plane(servers: None) -> Iterator[tuple[ControlPlane, SimpleQueue[tuple[Proxy, Path]]]]:
    """One API server, and proxies before it with a kubeconfig each."""
    memory = Path("/dev/shm")
    with ExitStack() as last:
        place = tempfile.TemporaryDirectory(prefix="meshwizard-answers-", dir=memory if memory.is_dir() else None)
        folder = Path(last.enter_context(place))
        made, _, keys = last.enter_context(alone(folder))
        free: SimpleQueue[tuple[Proxy, Path]] = SimpleQueue()
        for number in range(AT_ONCE):
            proxy = Proxy(made.url, keys)
            last.callback(proxy.end)
            config = folder / f"config{number}"
            config.write_text(kubeconfig(proxy.url, proxy.ca))
            free.put((proxy, config))
        yield made, free


class _Meet:
    """A rule: the so-maniest request from now on meets the fault, and all after it where it stays."""

    def __init__(self, nth: int, fault: Fault, *, always: bool) -> None:
        self.met: Request | None = None
        self._left = nth
        self._fault = fault
        self._always = always

    def __call__(self, request: Request) -> Fault | None:
        self._left -= 1
        if self._left == 0:
            self.met = request
        return self._fault if self._left == 0 or (self._always and self._left < 0) else None


def _case(plane: ControlPlane, proxy: Proxy, config: Path, number: int, nth: int, fault: str, always: bool) -> None:
    """The whole sequence, of which one call meets the fault."""
    namespace = f"case-{number}-{nth}-{fault.replace(' ', '-')}-{'always' if always else 'once'}"
    look = Looker(plane, namespace)
    marker = plane.mark()
    proxy.forget()
    for index, call in enumerate(CALLS):
        cluster = RealCluster("east", config, "ours", PATIENCE)
        at = f"{namespace}: {call.name}"
        if index == number:
            rule = _Meet(nth, FAULTS[fault], always=always)
            proxy.rule = rule
            told: Trouble | None = None
            got: object = None
            try:
                got = call.run(cluster, namespace)
            except Trouble as trouble:
                told = trouble
            proxy.rule = None
            wanted = expected(call, fault, rule.met, always=always)
            assert (type(told) if told else None) is wanted or (wanted and isinstance(told, wanted)), (at, told)
            if told is None:
                assert call.right(got, look), (at, got)
                continue
            assert "east" in told.what and told.what.isprintable() and told.remedy, (at, told)
            cluster = RealCluster("east", config, "ours", PATIENCE)
            if call.name.endswith(("delete", "that one")):
                # What is not known is looked at: it may be gone already.
                call.run(cluster, namespace)
                assert call.right(True, look), at
                continue
        assert call.right(call.run(cluster, namespace), look), at
    made = [
        entry["objectRef"].get("name")
        for entry in plane.entries(marker)
        if (entry.get("objectRef") or {}).get("namespace") == namespace and entry["responseStatus"].get("code") == 201
    ]
    assert len(made) == 3 and made.count(namespace) == 1, (namespace, made)


@pytest.mark.promise(26, 27, 28)
def test_every_call_meets_every_bad_answer(
    plane: tuple[ControlPlane, SimpleQueue[tuple[Proxy, Path]]], record_property: Callable[[str, object], None]
) -> None:
    made, free = plane

    def run(case: tuple[int, int, str, bool]) -> None:
        proxy, config = free.get()
        try:
            _case(made, proxy, config, *case)
        finally:
            free.put((proxy, config))

    cases = [(call, nth, fault, always) for call, nth in REQUESTS for fault in FAULTS for always in (False, True)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [future.exception() for future in [pool.submit(run, case) for case in cases]]
    wrong = [failure for failure in failures if failure]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong[:5]}"
    record_property("count:calls that met a bad answer", len(cases))
