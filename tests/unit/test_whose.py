"""Whose an object is that has a name of ours, what is recorded of it, and what an uninstall gives back: the rules alone."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.cluster_fakes import Holding, thing
from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Kind,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.port import Outdated
from wizard.engine.step import Conflict
from wizard.errors import Failed
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.objects.before import Before, Found, Wanted, addresses, look_up, owner, touched_by_others
from wizard.objects.ownership import ISTIO_OWNER, MESH

OURS = {ISTIO_OWNER: OPERATOR_NAME}
HELM = {"meta.helm.sh/release-name": "base", "meta.helm.sh/release-namespace": "mesh-a"}
ACCOUNT = thing(SERVICE_ACCOUNT, "reader", SYSTEM_NAMESPACE, managers=("helm",))
CONFIG = thing(CONFIG_MAP, "istio", SYSTEM_NAMESPACE, managers=("helm",))
ROLE = thing(CLUSTER_ROLE, "reader", managers=("helm",), rules=["theirs"])


# -- what an install makes


def test_every_known_kind_is_looked_up_but_namespaces() -> None:
    alike = {"apiVersion": "example.com/v1", "kind": "Service", "metadata": {"name": "other"}}
    rendered = [thing(NAMESPACE, SYSTEM_NAMESPACE), ACCOUNT, alike, thing(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)]
    assert addresses(rendered) == [
        Wanted(Ref(SERVICE_ACCOUNT, "reader", SYSTEM_NAMESPACE)),
        Wanted(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)),
    ]


# -- whose it is


def looked_up(*standing: Object, made: tuple[str, ...] = (), before: Before | None = None) -> Found:
    """What is found of an install that makes all of these."""
    cluster: Any = Holding(*standing)
    refs = [Wanted(ref_of(each)) for each in standing]
    return look_up(cluster, refs, mesh="mesh1", made=made, before=before or Before())


def test_accounts_and_roles_are_shared_and_all_else_is_somebodys() -> None:
    second = thing(CONFIG_MAP, "second", SYSTEM_NAMESPACE)
    assert looked_up(CONFIG, ACCOUNT, second, ROLE) == Found((ACCOUNT, ROLE), (CONFIG, second))


def test_where_nothing_stands_nothing_is_found() -> None:
    cluster: Any = Holding(thing(CONFIG_MAP, "istio", "elsewhere"), thing(CONFIG_MAP, "other", SYSTEM_NAMESPACE))
    refs = [Wanted(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)), Wanted(Ref(CLUSTER_ROLE, "reader"))]
    assert look_up(cluster, refs, mesh="mesh1", made=(), before=Before()) == Found()


def test_of_many_objects_in_a_namespace_a_kind_is_asked_for_once() -> None:
    asked = []

    class Asked(Holding):
        def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
            asked.append(kind)
            return super().objects(kind, namespace, labels)

    cluster: Any = Asked(CONFIG, ACCOUNT)
    refs = [Wanted(Ref(CONFIG_MAP, name, SYSTEM_NAMESPACE)) for name in ("istio", "a", "b")]
    look_up(cluster, [*refs, Wanted(ref_of(ACCOUNT))], mesh="mesh1", made=(), before=Before())
    assert asked == [CONFIG_MAP, SERVICE_ACCOUNT]


def test_what_bears_our_mark_is_ours() -> None:
    by_label = thing(CONFIG_MAP, "istio", SYSTEM_NAMESPACE, labels=OURS)
    by_mesh = thing(CONFIG_MAP, "record", SYSTEM_NAMESPACE, annotations={MESH: "mesh1"})
    of_another = thing(CONFIG_MAP, "other", SYSTEM_NAMESPACE, annotations={MESH: "mesh2"}, labels={ISTIO_OWNER: "b"})
    assert looked_up(by_label, by_mesh, of_another) == Found((), (of_another,))


def test_what_an_earlier_install_made_is_ours_unless_others_had_it_before() -> None:
    made = (str(ref_of(CONFIG)), str(ref_of(ACCOUNT)))
    assert looked_up(CONFIG, ACCOUNT, made=made) == Found()
    former = copy.deepcopy(ACCOUNT)
    former["metadata"]["uid"] = "former"
    assert looked_up(CONFIG, ACCOUNT, made=made, before=Before.of([former])) == Found((ACCOUNT,))


def test_what_is_recorded_already_is_not_found_again_in_whatever_version_it_is_read() -> None:
    old = {**ROLE, "apiVersion": "rbac.authorization.k8s.io/v1beta1"}
    assert looked_up(ACCOUNT, old, before=Before.of([ROLE, ACCOUNT])) == Found()
    assert looked_up(ACCOUNT, ROLE, before=Before.of([old])) == Found((ACCOUNT,))


def binding(role: str, *subjects: Object) -> Object:
    given = {"subjects": list(subjects)} if subjects else {}
    return thing(ROLE_BINDING, "reader", SYSTEM_NAMESPACE, roleRef={"kind": "ClusterRole", "name": role}, **given)


def account(name: str, namespace: str | None = None) -> Object:
    return {"kind": "ServiceAccount", "name": name} | ({"namespace": namespace} if namespace else {})


@pytest.mark.parametrize(
    ("standing", "can_share"),
    [
        (binding("view", account("b", "mesh-a"), account("a", SYSTEM_NAMESPACE)), True),
        (binding("edit", account("a"), account("b", "mesh-a")), False),
        (binding("view", account("a", "elsewhere"), account("b", "mesh-a")), False),
        (binding("view", account("a"), account("c", "mesh-a")), False),
        (binding("view"), False),
    ],
)
def test_a_binding_is_shared_where_it_gives_the_same_to_the_same(standing: Object, can_share: bool) -> None:
    cluster: Any = Holding(standing)
    wanted = addresses([binding("view", account("a"), account("b", "mesh-a"))])
    found = look_up(cluster, wanted, mesh="mesh1", made=(), before=Before())
    assert found == (Found((standing,)) if can_share else Found((), (standing,)))


def test_what_others_wrote_of_what_can_be_shared_is_seen() -> None:
    assert touched_by_others(ACCOUNT)
    assert not touched_by_others(thing(SERVICE_ACCOUNT, "reader", managers=("istio-operator",)))
    assert not touched_by_others(CONFIG)


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"labels": {ISTIO_OWNER: "east"}, "annotations": HELM}, "IstioOperator east"),
        ({"labels": {ISTIO_OWNER: "unknown"}, "annotations": HELM}, "Helm release base in mesh-a"),
        ({"annotations": {"meta.helm.sh/release-name": "base"}}, "Helm release base in default"),
        ({"annotations": {MESH: "mesh2"}, "managers": ("helm",)}, "mesh mesh2"),
        ({"managers": ("helm", "kubectl")}, "somebody else (helm and kubectl)"),
        ({"managers": ("", "a", "b", "c", "d")}, "somebody else (a, b and c)"),
        ({}, "somebody else"),
    ],
)
def test_an_owner_is_named_as_far_as_the_object_tells(marks: Any, told: str) -> None:
    assert owner(thing(CONFIG_MAP, "istio", SYSTEM_NAMESPACE, **marks)) == told


def test_an_object_may_name_its_owner_itself() -> None:
    live = copy.deepcopy(CONFIG)
    live["metadata"]["ownerReferences"] = [{"kind": "Istio", "name": "default"}, {"kind": "Other", "name": "x"}]
    assert owner(live) == "Istio default"


# -- what is told


def test_a_plan_tells_what_is_shared() -> None:
    (told,) = Found((ACCOUNT,)).told()
    assert str(told) == (
        "ServiceAccount reader in istio-system: there already, of somebody else (helm) → "
        "used as well, and given back by an uninstall"
    )


def conflict(*somebodys: Object, revised: bool = False) -> Conflict | None:
    at: Any = SimpleNamespace(kubeconfig=None, context="kind-1")
    return Found((), somebodys).conflict("cluster1", at, revised=revised)


def test_what_is_shared_is_no_conflict() -> None:
    assert conflict() is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", ""),
        ("b", "; so are ConfigMap b in istio-system"),
        ("bcd", "; so are ConfigMap b in istio-system, ConfigMap c in istio-system and ConfigMap d in istio-system"),
        (
            "bcde",
            "; so are ConfigMap b in istio-system, ConfigMap c in istio-system and ConfigMap d in istio-system and 1 more",
        ),
    ],
)
def test_a_conflict_names_the_first_and_some_more(more: str, told: str) -> None:
    found = conflict(*(thing(CONFIG_MAP, name, SYSTEM_NAMESPACE) for name in f"a{more}"))
    assert found is not None
    assert found.what == f"cluster1: ConfigMap a in istio-system is there already, installed by somebody else{told}"


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ({"name": "istiod", "namespace": "mesh-a"}, ", and leads to Service istiod in mesh-a"),
        ({"name": "istiod", "namespace": SYSTEM_NAMESPACE}, ""),
        (None, ""),
    ],
)
def test_where_a_webhook_leads_is_told_if_it_is_not_our_namespace(service: Object | None, told: str) -> None:
    hooks = [{"clientConfig": {"service": service}}, {}]
    for kind in (MUTATING_WEBHOOK, VALIDATING_WEBHOOK):
        found = conflict(thing(kind, "a", webhooks=hooks))
        assert found is not None
        assert found.what == f"cluster1: {kind.kind} a is there already, installed by somebody else{told}"
    assert conflict(thing(MUTATING_WEBHOOK, "a")) is not None


@pytest.mark.parametrize(
    ("theirs", "command"),
    [
        (CONFIG, "(kubectl --context=kind-1 -n istio-system delete configmaps istio)"),
        (ROLE, "(kubectl --context=kind-1 delete clusterroles.rbac.authorization.k8s.io reader)"),
        (thing(CONFIG_MAP, "a", annotations=HELM), "(helm uninstall --kube-context=kind-1 -n mesh-a base)"),
        (
            thing(CONFIG_MAP, "a", annotations={"meta.helm.sh/release-name": "base"}),
            "(helm uninstall --kube-context=kind-1 -n default base)",
        ),
    ],
)
def test_the_way_out_is_the_command_that_removes_it(theirs: Object, command: str) -> None:
    found = conflict(theirs)
    assert found is not None
    assert command in found.remedy


def test_a_revision_is_a_way_out_where_it_gives_all_that_is_in_the_way_another_name() -> None:
    gateway = thing(SERVICE, GATEWAY_NAME, SYSTEM_NAMESPACE)
    offered = [
        "istio.revision" in str(each)
        for each in (conflict(CONFIG), conflict(CONFIG, gateway), conflict(CONFIG, revised=True))
    ]
    assert offered == [True, False, False]


# -- the record


DEFINITION = thing(
    CRD, "gateways.networking.istio.io", labels={"app": "base"},
    annotations={"note": "a", "kubectl.kubernetes.io/last-applied-configuration": "all of it"}, spec={"group": "x"},
)  # fmt: skip
TOKEN = thing(SECRET, "token", SYSTEM_NAMESPACE, labels={"a": "b"}, data={"token": "c2VjcmV0"})


def test_the_record_holds_what_can_be_given_back_and_no_secret() -> None:
    before = Before.of([TOKEN, DEFINITION, {**ROLE, "status": {"seen": "yes"}}])
    lines = {line["kind"]: line for line in map(json.loads, before.text().splitlines())}
    assert lines == {
        "Secret": {"kind": "Secret", "namespace": SYSTEM_NAMESPACE, "name": "token", "uid": "uid-of-token"},
        "CustomResourceDefinition": {
            "kind": "CustomResourceDefinition", "namespace": "", "name": "gateways.networking.istio.io",
            "uid": "uid-of-gateways.networking.istio.io", "labels": {"app": "base"}, "annotations": {"note": "a"},
        },
        "ClusterRole": {
            "kind": "ClusterRole", "namespace": "", "name": "reader", "uid": "uid-of-reader", "labels": {}, "annotations": {},
            "content": {"rules": ["theirs"]},
        },
    }  # fmt: skip


def test_a_record_is_read_as_it_was_written_in_whatever_order_things_were_found() -> None:
    found = [TOKEN, DEFINITION, ROLE, ACCOUNT]
    before = Before.of(found)
    assert Before.read({"before": before.text()}, "here") == before
    assert Before.of(reversed(found)).text() == before.text()
    assert Before.read({}, "here") == Before()


def test_of_two_records_the_later_counts() -> None:
    anew = copy.deepcopy(ROLE)
    anew["metadata"]["uid"] = "anew"
    both = Before.of([ROLE, ACCOUNT]).with_(Before.of([anew]))
    assert [both.holds(each) for each in (ROLE, ACCOUNT, anew, CONFIG)] == [False, True, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "[]",
        "7",
        '{"kind": "Secret"}',
        '{"kind": "ClusterRole", "name": "a", "uid": "b", "labels": 7}',
    ],
    ids=["half", "deep", "list", "number", "no name", "labels"],
)
def test_a_damaged_line_is_refused(text: str) -> None:
    with pytest.raises(Failed, match="here: `before`"):
        Before.read({"before": text}, "here")


# -- given back


def by(manager: str, fields: Object) -> Object:
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields}


def changed(live: Object, *entries: Object, **rest: Any) -> Object:
    """This very object with other labels and content."""
    metadata = {**live["metadata"], "labels": {"app": "ours", "new": "ours"}, "managedFields": list(entries)}
    return {**live, "metadata": metadata, **rest}


LABELLED = {"f:metadata": {"f:labels": {"f:app": {}, "f:new": {}}}}
BOUND = thing(CLUSTER_ROLE, "reader", labels={"app": "theirs"}, annotations={"note": "a"}, rules=["theirs"])


def given_back(was: Object, *standing: Object) -> list[Object]:
    """What stands after that was given back, without who wrote it."""
    cluster: Any = Holding(*standing)
    (entry,) = Before.of([was]).entries.values()
    entry.give_back(cluster)
    for each in cluster.held:
        each["metadata"].pop("managedFields", None)
    held: list[Object] = cluster.held
    return held


def test_what_istioctl_changed_is_as_it_was() -> None:
    wrote = by("istio-operator", {**LABELLED, "f:rules": {}, "f:aggregationRule": {}})
    assert given_back(BOUND, changed(BOUND, wrote, rules=["ours"], aggregationRule={})) == [BOUND]
    gone = changed(BOUND, wrote)
    del gone["rules"]
    assert given_back(BOUND, gone) == [BOUND]


def test_where_there_was_no_label_there_is_none_again() -> None:
    (live,) = given_back(ACCOUNT, changed(ACCOUNT, by("istioctl", LABELLED)))
    assert "labels" not in live["metadata"]


def test_what_others_wrote_since_stays() -> None:
    ours = by("istio-operator", {"f:metadata": {"f:labels": {"f:new": {}}}})
    theirs = by("helm", {"f:metadata": {"f:labels": {"f:app": {}}}, "f:rules": {}})
    (live,) = given_back(BOUND, changed(BOUND, ours, theirs, rules=["later"]))
    assert live["metadata"]["labels"] == {"app": "ours"}
    assert live["rules"] == ["later"]


def test_a_definition_keeps_what_it_defines() -> None:
    wrote = by("istio-operator", {**LABELLED, "f:spec": {}})
    (live,) = given_back(DEFINITION, changed(DEFINITION, wrote, spec={"group": "ours"}))
    assert (live["metadata"]["labels"], live["spec"]) == ({"app": "base"}, {"group": "ours"})


def test_a_secret_is_left_as_it_is() -> None:
    live = changed(TOKEN, by("istio-operator", {**LABELLED, "f:data": {}}), data={})
    (after,) = given_back(TOKEN, live)
    assert (after["metadata"]["labels"], after["data"]) == (live["metadata"]["labels"], {})


def test_what_is_gone_or_was_made_anew_is_not_touched() -> None:
    assert given_back(BOUND) == []
    anew = changed(BOUND, by("istio-operator", LABELLED))
    anew["metadata"]["uid"] = "anew"
    (live,) = given_back(BOUND, anew)
    assert live["metadata"]["labels"] == {"app": "ours", "new": "ours"}


class Busy(Holding):
    """Others change the object so many times, each time just before it is replaced."""

    times = 0

    def replace(self, manifest: Object) -> Object:
        if self.times:
            self.times -= 1
            raise Outdated("the object has been modified", "")
        return super().replace(manifest)


def test_what_is_as_it_was_is_not_written() -> None:
    cluster: Any = Busy(BOUND)
    cluster.times = 1
    Before.of([BOUND]).entries[ref_of(BOUND)].give_back(cluster)
    assert cluster.times == 1


def test_what_others_change_at_that_moment_is_tried_again_and_then_told() -> None:
    cluster: Any = Busy(changed(BOUND, by("istio-operator", LABELLED)))
    cluster.times = 2
    entry = Before.of([BOUND]).entries[ref_of(BOUND)]
    entry.give_back(cluster)
    assert cluster.held[0]["metadata"]["labels"] == {"app": "theirs"}
    cluster = Busy(changed(BOUND, by("istio-operator", LABELLED)))
    cluster.times = 1000
    with pytest.raises(Outdated):
        entry.give_back(cluster)
