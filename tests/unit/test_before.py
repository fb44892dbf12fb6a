"""Whose an object is that has the name of what an install makes: a conflict, or shared and given back."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import Setting, setting
from tests.unit.test_others import House
from tests.unit.test_simulated_topologies import Town, contents, members, mesh
from wizard.clusters.kinds import (
    AUTOSCALER,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ENVOY_FILTER,
    ISTIO_OPERATOR,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Kind,
    Object,
    Ref,
    ref_of,
)
from wizard.engine.step import Conflict, Needed
from wizard.mesh.model import SYSTEM_NAMESPACE, Istio
from wizard.objects.before import Before
from wizard.objects.installed import RECORD
from wizard.objects.removal import READER_TOKEN
from wizard.simulated.charts import rendered
from wizard.simulated.istioctl import READER
from wizard.simulated.machine import Machine
from wizard.simulated.operator import read
from wizard.simulated.outside import SimulatedOutside

HELM = {"meta.helm.sh/release-name": "istio-base", "meta.helm.sh/release-namespace": SYSTEM_NAMESPACE}
HELM_LABELS = {"app": "istio-reader", "release": "istio-base", "app.kubernetes.io/managed-by": "Helm"}
_ROLE = "istio-reader-clusterrole-istio-system"


def stands(
    machine: Machine, kind: Kind, name: str, namespace: str = "", *, manager: str = "helm",
    labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **rest: Any,
) -> Ref:  # fmt: skip
    """Somebody made this before us."""
    if namespace:
        place: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        if machine.found(Ref(NAMESPACE, namespace)) is None:
            machine.apply_as("kubectl-create", place)
    metadata: Object = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    metadata |= {"namespace": namespace} if namespace else {}
    with machine.settled():
        machine.store.update({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}, manager)
    return Ref(kind, name, namespace)


def webhook(machine: Machine, name: str, namespace: str, kind: Kind = MUTATING_WEBHOOK, **more: Any) -> Ref:
    service = {"name": "istiod", "namespace": namespace, "path": "/inject", "port": 443}
    hooks = [{"name": "rev.namespace.sidecar-injector.istio.io", "clientConfig": {"service": service}}]
    return stands(machine, kind, name, webhooks=hooks, **more)


def role(name: str) -> Object:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}


def drawn(live: Object | None) -> Object:
    """An object without what every write changes, and of a definition without what it defines: that is not gone back upon."""
    assert live is not None
    told = copy.deepcopy({key: live[key] for key in live if live["kind"] != CRD.kind or key != "spec"})
    for key in ("managedFields", "resourceVersion", "generation"):
        told["metadata"].pop(key, None)
    for key in ("labels", "annotations"):
        if not told["metadata"].get(key):
            told["metadata"].pop(key, None)
    return told


# -- somebody's


@pytest.mark.inputs("1")
def test_the_webhook_of_another_istiod_is_a_conflict_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house = House(tmp_path, setting(), monkeypatch)
    machine = house.made.machine(1)
    theirs = webhook(machine, "istio-sidecar-injector", "mesh-a", manager="helm", annotations=HELM)
    before = [contents(each) for each in house.made.outside.machines]
    webhook_before = machine.found(theirs)
    assert house("plan", "-f", write(house)) == 3
    capsys.readouterr()
    assert house.apply(house.made.mesh) == 3
    told = capsys.readouterr().err
    assert "MutatingWebhookConfiguration istio-sidecar-injector is there already" in told
    assert "Helm release istio-base in istio-system" in told
    assert "leads to Service istiod in mesh-a" in told
    assert "helm uninstall --kube-context=" in told
    assert machine.found(theirs) == webhook_before
    assert machine.found(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)) is None
    assert house("uninstall", "--yes") == 0
    assert machine.found(theirs) == webhook_before
    assert [contents(each) for each in house.made.outside.machines] == before


def write(house: House) -> str:
    from wizard.mesh.meshfile import write_meshfile

    file = house.folder / "mesh.yaml"
    file.write_text(write_meshfile(house.made.mesh))
    return str(file)


@pytest.mark.inputs("1")
@pytest.mark.parametrize(
    ("kind", "name", "rest"),
    [
        (VALIDATING_WEBHOOK, "istio-validator-istio-system", {"webhooks": []}),
        (VALIDATING_WEBHOOK, "istiod-default-validator", {"webhooks": []}),  # not rendered: an install adds it
        (MUTATING_WEBHOOK, "istio-revision-tag-default", {"webhooks": []}),
        (CONFIG_MAP, "istio", {"data": {"mesh": "{}"}}),
        (SERVICE, "istiod", {"spec": {"ports": [{"port": 443}]}}),
        (AUTOSCALER, "istiod", {"spec": {}}),
        (CLUSTER_ROLE_BINDING, _ROLE, {"roleRef": role("view"), "subjects": []}),
        (CLUSTER_ROLE_BINDING, _ROLE, {
            "roleRef": role(_ROLE), "subjects": [{"kind": "ServiceAccount", "name": READER, "namespace": "mesh-a"}],
        }),
    ],
)  # fmt: skip
def test_what_works_for_one_install_is_a_conflict(two: Setting, kind: Kind, name: str, rest: Object) -> None:
    theirs = stands(two.machine(1), kind, name, SYSTEM_NAMESPACE if kind.namespaced else "", manager="argocd", **rest)
    probe = two.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert f"{theirs} is there already, installed by somebody else (argocd)" in probe.what
    assert f"delete {kind.resource} {name}" in probe.remedy
    assert "istio.revision" in probe.remedy
    assert isinstance(two.probe("cluster2/install"), Needed)


def test_a_revision_is_no_way_out_where_a_gateway_is_in_the_way(two: Setting) -> None:
    stands(two.machine(1), SERVICE, "istio-eastwestgateway", SYSTEM_NAMESPACE, spec={"ports": [{"port": 1}]})
    probe = two.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert "istio.revision" not in probe.remedy


def test_another_owner_is_named(two: Setting) -> None:
    owner = {"install.operator.istio.io/owning-resource": "installed\nby hand"}
    stands(two.machine(1), CONFIG_MAP, "istio", SYSTEM_NAMESPACE, labels=owner)
    probe = two.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert "installed by IstioOperator installed by hand" in probe.what.replace("\\n", " ")
    assert probe.what.isprintable()


def test_with_a_revision_names_are_apart(two: Setting) -> None:
    """The default tag is another's: istioctl leaves it there, so it is no conflict."""
    webhook(two.machine(1), "istio-sidecar-injector", "mesh-a")
    webhook(two.machine(1), "istiod-default-validator", "mesh-a", VALIDATING_WEBHOOK)
    tag = {"app": "sidecar-injector", "istio.io/tag": "default", "istio.io/rev": "default"}
    webhook(two.machine(1), "istio-revision-tag-default", "mesh-a", labels=tag)
    two.mesh = replace(two.mesh, istio=replace(two.mesh.istio, revision="ours"))
    assert isinstance(two.probe("cluster1/install"), Needed)
    two.machine(1).store.remove(Ref(MUTATING_WEBHOOK, "istio-revision-tag-default"))
    probe = two.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert "istiod-default-validator" in probe.what
    assert "istio.revision" not in probe.remedy


def test_what_comes_later_is_looked_up_too(finished: Setting) -> None:
    """An install again would take it over as the first one would."""
    cluster = finished.machine(1)
    cluster.store.remove(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE))
    record = finished.machine(1).found(RECORD)
    assert record is not None
    cluster.change(RECORD, lambda item: item["data"].update(made=""), manager="meshwizard")
    stands(cluster, CONFIG_MAP, "istio", SYSTEM_NAMESPACE, manager="argocd", data={"mesh": "{}"})
    finished.mesh = replace(finished.mesh, istio=replace(finished.mesh.istio, image_pull_policy="Always"))
    probe = finished.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert "ConfigMap istio in istio-system is there already" in probe.what


def test_a_finished_mesh_is_not_rendered_again(finished: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finished.outside.istioctl, "manifest", lambda *_: pytest.fail("rendered"))
    assert finished.run().ok


# -- shared


def shared(machine: Machine) -> list[Ref]:
    """What Helm's base chart makes, and the token of its reader."""
    made = {"labels": HELM_LABELS, "annotations": HELM}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    subjects = [{"kind": "ServiceAccount", "name": READER, "namespace": SYSTEM_NAMESPACE}]
    token = {"kubernetes.io/service-account.name": READER}
    return [
        stands(machine, SERVICE_ACCOUNT, READER, SYSTEM_NAMESPACE, **made, imagePullSecrets=[{"name": "theirs"}]),
        stands(machine, CLUSTER_ROLE, _ROLE, **made, rules=rules),
        stands(machine, CLUSTER_ROLE_BINDING, _ROLE, **made, roleRef=role(_ROLE), subjects=subjects),
        stands(machine, SECRET, READER_TOKEN.name, SYSTEM_NAMESPACE, annotations=token,
               type="kubernetes.io/service-account-token"),
    ]  # fmt: skip


def definition(machine: Machine, plural: str, group: str, kind: str, **more: Any) -> Ref:
    spec = {
        "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    }  # fmt: skip
    return stands(machine, CRD, f"{plural}.{group}", spec=spec, **more)


@pytest.mark.inputs("2")
@pytest.mark.parametrize("revision", [None, "ours"])
def test_what_helm_made_is_used_and_given_back(tmp_path: Path, revision: str | None) -> None:
    outside = SimulatedOutside(2, 0)
    theirs = [shared(machine) for machine in outside.machines]
    for machine, refs in zip(outside.machines, theirs, strict=True):
        refs.append(definition(machine, "gateways", "networking.istio.io", "Gateway", labels=HELM_LABELS))
    town = Town(tmp_path, outside, mesh(members(outside, "external-ips", [None, "cluster1"]), Istio(revision=revision)))
    before = [
        {ref: drawn(machine.found(ref)) for ref in refs} for machine, refs in zip(outside.machines, theirs, strict=True)
    ]
    assert town.run().ok
    machine = town.machine("cluster1")
    labels = (machine.found(Ref(SERVICE_ACCOUNT, READER, SYSTEM_NAMESPACE)) or {})["metadata"]["labels"]
    assert labels["install.operator.istio.io/owning-resource"] == "meshwizard"  # else this test proves nothing
    again = town.run()
    assert again.ok, again.what
    assert town.undo().ok
    assert [contents(machine) for machine in outside.machines] == town.before
    after = [
        {ref: drawn(machine.found(ref)) for ref in refs} for machine, refs in zip(outside.machines, theirs, strict=True)
    ]
    for now, then in zip(after, before, strict=True):
        for ref, live in now.items():
            assert live == then[ref]


@pytest.mark.inputs("1", "2")
def test_beside_an_istiod_of_another_namespace_all_goes_that_ours_wrote(two: Setting) -> None:
    """But not what both write into every namespace, which is the other's as well."""
    machine = two.machine(1)
    theirs = {"matchLabels": {"app": "istiod", "mesh": "a"}}
    pod = {
        "metadata": {"labels": theirs["matchLabels"]},
        "spec": {"containers": [{"name": "d", "image": "registry/d"}]},
    }
    stands(machine, SERVICE_ACCOUNT, READER, SYSTEM_NAMESPACE)
    stands(machine, DEPLOYMENT, "istiod", "mesh-a", labels={"app": "istiod"},
           spec={"replicas": 0, "selector": theirs, "template": pod})  # fmt: skip
    webhook(machine, "istio-sidecar-injector-mesh-a", "mesh-a")
    before = contents(machine)
    assert two.run().ok
    assert two.undo().ok
    rest = contents(machine) - before
    assert {each for each in rest if "istio-ca-" not in each} == set()
    assert before <= contents(machine)


@pytest.mark.inputs("2")
def test_a_plan_says_what_is_shared_and_the_record_holds_no_secret(two: Setting) -> None:
    refs = shared(two.machine(1))
    probe = two.probe("cluster1/install")
    assert isinstance(probe, Needed)
    told = {each.object: each for each in probe.differences}
    assert told[str(refs[0])].found == "there already, of Helm release istio-base in istio-system"
    assert two.run().ok
    record = two.world.clusters["cluster1"].get(RECORD)
    assert record is not None
    token = two.world.clusters["cluster1"].get(READER_TOKEN)
    assert token is not None
    lines = [json.loads(line) for line in record["data"]["before"].splitlines()]
    assert {line["name"] for line in lines} == {ref.name for ref in refs}
    (secret,) = [line for line in lines if line["kind"] == "Secret"]
    assert secret.keys() == {"kind", "namespace", "name", "uid"}
    for name in ("token", "ca.crt"):
        assert token["data"][name] not in record["data"]["before"]
        assert base64.b64decode(token["data"][name]).decode() not in record["data"]["before"]


def test_what_its_owner_changed_meanwhile_stays(two: Setting) -> None:
    account, bound, _, _ = shared(two.machine(1))
    assert two.run().ok
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]

    def upgraded(item: Object) -> None:
        item["rules"] = rules
        item["metadata"]["labels"]["release"] = "istio-base-2"

    two.machine(1).change(bound, upgraded, manager="helm")
    assert two.undo().ok
    live = two.machine(1).found(bound)
    assert live is not None
    assert live["rules"] == rules
    assert live["metadata"]["labels"] == {**HELM_LABELS, "release": "istio-base-2"}
    assert two.machine(1).found(account) is not None


def test_what_its_owner_deleted_and_we_made_again_goes(two: Setting) -> None:
    account, *_ = shared(two.machine(1))
    assert two.run().ok
    two.machine(1).store.remove(account)
    assert two.run().ok
    assert two.undo().ok
    assert two.machine(1).found(account) is None


def test_what_is_made_anew_by_its_owner_is_recorded_anew(two: Setting) -> None:
    shared(two.machine(1))
    assert two.run().ok
    two.machine(1).store.remove(Ref(CLUSTER_ROLE, _ROLE))
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}]
    bound = stands(two.machine(1), CLUSTER_ROLE, _ROLE, labels=HELM_LABELS, annotations=HELM, rules=rules)
    anew = drawn(two.machine(1).found(bound))
    two.mesh = replace(two.mesh, istio=replace(two.mesh.istio, image_pull_policy="Always"))
    assert two.run().ok
    assert two.undo().ok
    assert drawn(two.machine(1).found(bound)) == anew


def test_an_install_that_was_cut_off_does_not_take_ours_for_others(two: Setting) -> None:
    refs = shared(two.machine(1))
    before = [drawn(two.machine(1).found(ref)) for ref in refs]
    everything = contents(two.machine(1))
    two.outside.istioctl.fail_at["IngressGateways"] = "cut off"
    assert not two.run().ok
    two.outside.istioctl.fail_at.clear()
    assert two.run().ok
    assert two.undo().ok
    assert [drawn(two.machine(1).found(ref)) for ref in refs] == before
    assert contents(two.machine(1)) == everything


def test_without_its_record_what_others_wrote_stays(two: Setting) -> None:
    refs = shared(two.machine(1))
    assert two.run().ok
    two.machine(1).store.remove(RECORD)
    assert two.undo().ok
    for ref in refs[:3]:
        assert two.machine(1).found(ref) is not None


def test_the_record_of_an_earlier_release_is_still_read(finished: Setting) -> None:
    machine = finished.machine(1)
    kept = next(ref_of(each) for each in machine.listed(CRD) if each["metadata"]["name"].endswith("istio.io"))

    def as_then(item: Object) -> None:
        item["data"] = {key: value for key, value in item["data"].items() if key != "before"}
        item["data"]["crds-before"] = kept.name

    machine.change(RECORD, as_then)
    assert finished.undo().exit_code == 0
    assert machine.found(kept) is not None
    assert [each for each in machine.listed(CRD) if each["metadata"]["name"].endswith("istio.io")] == [
        machine.found(kept)
    ]


def test_a_record_that_cannot_be_read_is_named_and_nothing_is_taken(two: Setting) -> None:
    refs = shared(two.machine(1))
    assert two.run().ok
    two.machine(1).change(RECORD, lambda item: item["data"].update(before='{"kind": "Node", "name": "x"}'))
    outcome = two.undo()
    assert not outcome.ok
    assert "ConfigMap meshwizard in istio-system: `before`" in outcome.what
    assert all(two.machine(1).found(ref) is not None for ref in refs)


def test_whatever_stands_in_an_object_a_record_is_read_as_it_was_written(two: Setting) -> None:
    odd = "a\u2028b\x85c\nd\x1ce"
    ref = stands(two.machine(1), CLUSTER_ROLE, _ROLE, annotations={"note": odd}, rules=[])
    live = two.machine(1).found(ref)
    assert live is not None
    before = Before.of([live])
    assert Before.read({"before": before.text()}, "here") == before
    assert before.entries[ref].annotations == {"note": odd}


# -- what istioctl makes beside, and what an old API server serves


def old_definitions(machine: Machine) -> None:
    """What base charts up to 1.23 bring, under our name."""
    ours = {"install.operator.istio.io/owning-resource": "meshwizard"}
    definition(machine, "istiooperators", "install.istio.io", "IstioOperator", labels=ours)


@pytest.mark.inputs("4")
@pytest.mark.parametrize("revision", [None, "1-9-1"])
def test_istioctls_own_record_goes_with_the_install_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], revision: str | None
) -> None:
    house = House(tmp_path, setting(), monkeypatch)
    mesh = replace(house.made.mesh, istio=replace(house.made.mesh.istio, revision=revision))
    before = [contents(machine) for machine in house.made.outside.machines]
    assert house.apply(mesh) == 0
    machine = house.made.machine(1)
    old_definitions(machine)
    ending, spec = (f"-{revision}", {"revision": revision}) if revision else ("", {})
    ours = house.make(ISTIO_OPERATOR, f"installed-state-meshwizard{ending}", SYSTEM_NAMESPACE, spec=spec)
    theirs = house.make(
        ISTIO_OPERATOR, "installed-state-meshwizard-b", SYSTEM_NAMESPACE, spec={}
    )  # of operator meshwizard-b
    capsys.readouterr()
    assert house("uninstall", "--yes") == 3
    assert "IstioOperator installed-state-meshwizard-b" in capsys.readouterr().err
    assert machine.found(ours) is None
    assert machine.found(theirs) is not None
    machine.store.remove(theirs)
    assert house("resume") == 0
    machine.store.remove(Ref(CRD, "istiooperators.install.istio.io"))
    assert [contents(machine) for machine in house.made.outside.machines] == before


@pytest.mark.inputs("4")
def test_what_old_charts_make_of_istios_own_kinds_goes_too(two: Setting) -> None:
    """Their EnvoyFilters, where the definition stood before and so stays."""
    definition(two.machine(1), "envoyfilters", "networking.istio.io", "EnvoyFilter")
    before = contents(two.machine(1))
    assert two.run().ok
    ours = {"install.operator.istio.io/owning-resource": "meshwizard"}
    stands(two.machine(1), ENVOY_FILTER, "stats-filter-1.9", SYSTEM_NAMESPACE, labels=ours, spec={})
    assert two.undo().ok
    assert contents(two.machine(1)) == before


@pytest.mark.inputs("5")
def test_kinds_of_an_old_api_server_are_taken_back(two: Setting) -> None:
    old = {
        "horizontalpodautoscalers.autoscaling": "autoscaling/v2beta1",
        "poddisruptionbudgets.policy": "policy/v1beta1",
        "endpointslices.discovery.k8s.io": "discovery.k8s.io/v1beta1",
    }
    for machine in two.outside.machines:
        machine.store.served |= old
    before = [contents(machine) for machine in two.outside.machines]
    assert two.run().ok
    scalers = two.world.clusters["cluster1"].objects(AUTOSCALER, SYSTEM_NAMESPACE)
    assert {(item["apiVersion"], ref_of(item).kind.api_version) for item in scalers} == {("autoscaling/v2beta1",) * 2}
    installs = two.outside.istioctl.installs
    assert two.run().ok
    assert two.outside.istioctl.installs == installs
    assert two.undo().ok
    assert [contents(machine) for machine in two.outside.machines] == before


def test_the_simulated_charts_are_looked_up_whole(two: Setting) -> None:
    """Every kind that they render is one that the wizard knows."""
    operator = read("kind: IstioOperator\nspec: {profile: minimal}\n", [], "1.29.1")
    for manifests in rendered(operator).values():
        for manifest in manifests:
            assert ref_of(manifest).name
