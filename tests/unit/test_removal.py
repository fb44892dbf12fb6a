"""What an uninstall takes of an Istio that we installed, in which order, and what it leaves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cluster_fakes import Holding, job, thing
from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ISTIO_OPERATOR,
    LEASE,
    MUTATING_WEBHOOK,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
    Object,
    Ref,
)
from wizard.clusters.port import Outdated
from wizard.errors import Interrupted
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects.before import Before
from wizard.objects.ownership import ISTIO_OWNER, MESH
from wizard.objects.removal import READER_TOKEN, owned, remove_istio, remove_traces, stands

OURS = {ISTIO_OWNER: OPERATOR_NAME}
EVERYWHERE = {"istio.io/config": "true"}
ISTIOD = thing(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE, labels={"app": "istiod", **OURS})
WEBHOOK = thing(MUTATING_WEBHOOK, "injector", labels=OURS)
THEIRS = thing(SERVICE, "theirs", SYSTEM_NAMESPACE, labels={ISTIO_OWNER: "elsewhere"})
ACCOUNT = thing(SERVICE_ACCOUNT, "reader", SYSTEM_NAMESPACE, labels=OURS)
TOKEN = thing(READER_TOKEN.kind, READER_TOKEN.name, SYSTEM_NAMESPACE)


def written(kind: Kind, name: str, namespace: str = SYSTEM_NAMESPACE, **marks: Any) -> Object:
    return thing(kind, name, namespace, managers=("kubelet", "pilot-discovery"), **marks)


ROOT = written(CONFIG_MAP, "root", "default", labels=EVERYWHERE)
OWN_ROOT = written(CONFIG_MAP, "own-root", labels=EVERYWHERE)
ELECTION = written(CONFIG_MAP, "election")
ELECTED = written(LEASE, "elected")
TRACES = (ROOT, OWN_ROOT, ELECTION, ELECTED)


def names(found: list[Object]) -> list[str]:
    return [each["metadata"]["name"] for each in found]


def removed_from(cluster: Any, before: Before | None = None, said: list[str] | None = None) -> list[str]:
    """What stands after."""
    remove_istio(cluster, before or Before(), job(said))
    return names(cluster.held)


def definition(plural: str, *versions: Object, labels: dict[str, str] | None = None) -> Object:
    spec = {"group": "x.istio.io", "names": {"kind": plural.title(), "plural": plural}, "versions": list(versions)}
    return thing(CRD, f"{plural}.x.istio.io", labels=labels or OURS, spec=spec)


# -- what is ours


@pytest.mark.parametrize(
    ("held", "told"), [([], False), ([definition("a"), THEIRS], False), ([definition("a"), ACCOUNT], True)]
)
def test_definitions_alone_are_no_istio(held: list[Object], told: bool) -> None:
    cluster: Any = Holding(*held)
    assert stands(cluster) is told


def test_ours_is_what_bears_our_name_and_istioctls_record_of_it() -> None:
    records = [
        thing(ISTIO_OPERATOR, f"installed-state-{name}", SYSTEM_NAMESPACE, spec=spec)
        for name, spec in [
            (OPERATOR_NAME, None),
            (f"{OPERATOR_NAME}-1-9", {"revision": "1-9"}),
            (f"{OPERATOR_NAME}-b", {}),  # of an operator of that name
            ("b", {}),
        ]
    ]
    cluster: Any = Holding(ISTIOD, THEIRS, ACCOUNT, *records, WEBHOOK)
    found = names(owned(cluster))
    assert found[0] == "injector"  # it calls into what goes away
    assert sorted(found) == [
        "injector", f"installed-state-{OPERATOR_NAME}", f"installed-state-{OPERATOR_NAME}-1-9", "istiod", "reader",
    ]  # fmt: skip


# -- what goes and what stays


def test_what_is_ours_goes_and_what_was_there_before_is_given_back() -> None:
    was = thing(SERVICE_ACCOUNT, "reader", SYSTEM_NAMESPACE)
    live = {**was, "metadata": {**was["metadata"], "labels": OURS, "managedFields": [
        {"manager": "istio-operator", "fieldsV1": {"f:metadata": {"f:labels": {f"f:{ISTIO_OWNER}": {}}}}}]}}  # fmt: skip
    cluster: Any = Holding(ISTIOD, live, WEBHOOK, THEIRS, ELECTION)
    assert removed_from(cluster, Before.of([was])) == ["reader", "theirs"]
    assert "labels" not in cluster.held[0]["metadata"]


def test_the_readers_token_goes_unless_it_was_there_before() -> None:
    assert removed_from(Holding(TOKEN)) == []
    assert removed_from(Holding(TOKEN), Before.of([TOKEN])) == [READER_TOKEN.name]


def test_definitions_that_hold_what_others_made_stay_and_it_is_said() -> None:
    served = [{"name": "v1alpha1", "served": False}, {"name": "v1", "served": True}]
    marks: list[Object] = [{"labels": OURS}, {"annotations": {MESH: "mesh1"}}]
    definitions = [
        definition("used", *served), definition("ours", *served), definition("empty", *served), definition("odd"),
        definition("foreign", *served, labels={ISTIO_OWNER: "elsewhere"}),
    ]  # fmt: skip
    resources = [
        thing(Kind("x.istio.io/v1", kind, ""), f"{kind}{number}", "default", **mark)
        for kind, found in (("Used", [*marks, {}]), ("Ours", marks))
        for number, mark in enumerate(found)
    ]
    said: list[str] = []
    assert removed_from(Holding(*definitions, *resources), said=said)[:2] == ["used.x.istio.io", "foreign.x.istio.io"]
    assert said == ["cluster1: these CRDs stay, because they hold resources: used.x.istio.io"]
    assert removed_from(Holding(*definitions[1:], *resources), said=said)[:1] == ["foreign.x.istio.io"]
    assert len(said) == 1


class Quick(Holding):
    """Somebody makes this anew, each time just after it was read."""

    anew: Object

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        found = super().objects(kind, namespace, labels)
        for place, each in enumerate(self.held):
            if each["metadata"]["name"] in names(found) and each["kind"] == self.anew["kind"]:
                self.held[place] = self.anew
        return found


@pytest.mark.parametrize("live", [ISTIOD, TOKEN], ids=["istiod", "token"])
def test_what_was_made_anew_since_it_was_looked_at_is_not_taken(live: Object) -> None:
    cluster: Any = Quick(live)
    cluster.anew = {**live, "metadata": {**live["metadata"], "uid": "anew"}}
    with pytest.raises(Outdated):
        removed_from(cluster)
    assert names(cluster.held) == names([live])


class Slow(Holding):
    """What is deleted is there for two more looks."""

    def __init__(self, *objects: Object) -> None:
        super().__init__(*objects)
        self.going: dict[str, int] = {}

    def get(self, ref: Ref) -> Object | None:
        if ref.name in self.going:
            self.going[ref.name] -= 1
            if self.going[ref.name] == 0:
                super().delete(ref)
        return super().get(ref)

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        self.going.setdefault(ref.name, 3)
        return True


def test_it_ends_when_all_is_gone() -> None:
    assert removed_from(Slow(ACCOUNT, definition("a"))) == []


def test_stopped_it_takes_nothing_more_and_gives_nothing_back() -> None:
    cluster: Any = Holding(ACCOUNT)
    with pytest.raises(Interrupted):
        remove_istio(cluster, Before(), job(looks=0))
    assert names(cluster.held) == ["reader"]
    other = thing(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE, labels={"app": "istiod"})
    cluster = Holding(other)
    with pytest.raises(Interrupted):
        remove_istio(cluster, Before.of([thing(SERVICE_ACCOUNT, "reader", SYSTEM_NAMESPACE)]), job(looks=0))


# -- what istiod wrote


def traces_left(*beside: Object) -> list[str]:
    cluster: Any = Holding(*TRACES, *beside)
    remove_traces(cluster, job())
    return names(cluster.held)


def test_what_an_istiod_wrote_goes_with_the_last_one() -> None:
    beside = [
        thing(DEPLOYMENT, "other", SYSTEM_NAMESPACE, labels={"app": "other"}),
        thing(CONFIG_MAP, "copy", "default", labels=EVERYWHERE, managers=("kubectl",)),
        thing(CONFIG_MAP, "nobodys", SYSTEM_NAMESPACE),
        written(CONFIG_MAP, "unmarked", "default"),
        written(CONFIG_MAP, "ours", annotations={MESH: "mesh1"}),
    ]
    assert traces_left(*beside) == names(beside)


def test_an_istiod_that_is_left_keeps_what_it_needs() -> None:
    beside = thing(DEPLOYMENT, "istiod-b", SYSTEM_NAMESPACE, labels={"app": "istiod"})
    assert traces_left(beside) == [*names(list(TRACES)), "istiod-b"]
    elsewhere = thing(DEPLOYMENT, "istiod", "mesh-a", labels={"app": "istiod"})
    assert traces_left(elsewhere) == ["root", "own-root", "istiod"]


class Ending(Holding):
    """An istiod ends after it was looked for twice; until then it writes again what is deleted."""

    looks = 2

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        found = super().objects(kind, namespace, labels)
        if kind == POD:
            self.looks -= 1
            self.held = [each for each in self.held if self.looks > 0 or each["kind"] != "Pod"]
        return found

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        return self.looks <= 0 and super().delete(ref, uid=uid, version=version)


def test_an_istiod_that_still_runs_is_waited_for() -> None:
    cluster: Any = Ending(ELECTION, thing(POD, "istiod-1", SYSTEM_NAMESPACE, labels={"app": "istiod"}))
    remove_traces(cluster, job())
    assert cluster.held == []


class Late(Holding):
    """Once more a primary writes, after so many looks."""

    looks = 0
    last = 0

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        found = super().objects(kind, namespace, labels)
        if kind == LEASE:
            self.looks += 1
            self.held += [ROOT] if self.looks == self.last else []
        return found


@pytest.mark.parametrize(("traces", "last", "looks"), [((), 0, 2), ((), 1, 4), ((ROOT,), 2, 5)])
def test_traces_are_gone_when_two_looks_in_a_row_found_none(traces: tuple[Object, ...], last: int, looks: int) -> None:
    cluster: Any = Late(*traces)
    cluster.last = last
    remove_traces(cluster, job())
    assert (cluster.held, cluster.looks) == ([], looks)


def test_of_a_trace_that_is_a_persons_by_now_nothing_is_taken() -> None:
    cluster: Any = Quick(ELECTION)
    cluster.anew = thing(CONFIG_MAP, "election", SYSTEM_NAMESPACE)
    cluster.anew["metadata"]["uid"] = "anew"
    remove_traces(cluster, job())
    assert cluster.held == [cluster.anew]


class Stubborn(Holding):
    """For a minute whatever is deleted is there again, and so are the Pods."""

    now = 0.0

    def __init__(self, *objects: Object) -> None:
        super().__init__(*objects)
        self.pauses: list[float] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        if self.now > 60:
            self.held = []

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        return True


@pytest.mark.parametrize(
    "live", [thing(POD, "istiod-1", SYSTEM_NAMESPACE, labels={"app": "istiod"}), ELECTION], ids=["Pod", "trace"]
)
def test_what_goes_slowly_is_looked_at_more_often_than_once_a_second(
    live: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster: Any = Stubborn(live)
    monkeypatch.setattr("wizard.engine.step.time.monotonic", lambda: cluster.now)
    remove_traces(cluster, job(looks=500, sleep=cluster.wait))
    assert 0 < max(cluster.pauses) < 1
