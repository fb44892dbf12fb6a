"""What clusters refuse is told early, in their own words, and ends a wait where waiting does not heal it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.conftest import Setting
from tests.unit.test_steps import job_of
from wizard.checks.finding import Finding
from wizard.checks.preflight import check
from wizard.clusters.kinds import CRD, DEPLOYMENT, MUTATING_WEBHOOK, NAMESPACE, VALIDATING_WEBHOOK, Kind, Object, Ref
from wizard.engine.events import Event, StepSaid, StepWaits
from wizard.engine.step import Difference, Job, Needed, Shared
from wizard.errors import Failed
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects import placing
from wizard.objects.ownership import CREATED
from wizard.plan import RIGHTS
from wizard.probes import unready, watch
from wizard.probes.policies import limiting
from wizard.simulated.policies import lets_out

SYSTEM = Ref(NAMESPACE, SYSTEM_NAMESPACE)
SAMPLE = Ref(NAMESPACE, "sample")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (unready, placing):
        monkeypatch.setattr(module, "FINAL_SECONDS", 0.05)
    monkeypatch.setattr(unready, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(watch, "LOOK_EVERY", 0.01)


def unprobed(made: Setting) -> Setting:
    """The mesh, without probes."""
    made.mesh = replace(made.mesh, verify=replace(made.mesh.verify, probes="never"))
    return made


# -- Pods that are not let in


@pytest.mark.inputs("9")
def test_a_quota_that_lets_no_istiod_in_is_told_in_the_api_servers_words(two: Setting) -> None:
    two.machine(1).quotas[SYSTEM_NAMESPACE] = "limits.cpu,limits.memory"
    said: list[str] = []
    outcome = unprobed(two).run(lambda event: said.append(event.text) if isinstance(event, StepSaid) else None)
    assert outcome.exit_code == 1
    assert "is forbidden: failed quota: compute: must specify limits.cpu for: discovery" in outcome.what
    assert "no Pod of Deployment istiod can be made" in outcome.what
    assert "ResourceQuota" in outcome.remedy
    assert any("failed quota" in each for each in said), "it is told while it is waited for"


@pytest.mark.inputs("9")
def test_a_quota_that_lets_no_sample_in(two: Setting) -> None:
    two.machine(2).quotas["sample"] = "limits.cpu"
    outcome = unprobed(two).run()
    assert outcome.exit_code == 1
    assert outcome.statuses["cluster2/sample"] == "failed"
    assert "must specify limits.cpu for: " in outcome.what


@pytest.mark.inputs("9")
def test_a_quota_that_lets_no_probe_in_needs_a_person(two: Setting) -> None:
    two.machine(1).quotas[SYSTEM_NAMESPACE] = "limits.memory"
    outcome = two.run()
    assert "no probe could run in cluster1: no Pod of Job" in outcome.what
    assert "failed quota: compute: must specify limits.memory for: curl" in outcome.what
    assert "ResourceQuota" in outcome.remedy
    assert "verify.probes" in outcome.remedy


def test_a_quota_that_is_lifted_meanwhile_is_no_failure(two: Setting) -> None:
    machine = two.machine(1)
    machine.quotas[SYSTEM_NAMESPACE] = "limits.cpu"

    def lift(event: object) -> None:
        if isinstance(event, StepSaid) and "failed quota" in event.text:
            machine.quotas.clear()

    assert unprobed(two).run(lift).ok


class Told:
    """A cluster with one Deployment, whose Pods and events are as they are told to be."""

    name = "cluster1"

    def __init__(self) -> None:
        self.events: list[Object] = []
        self.conditions: list[Object] = []
        self.pods: list[Object] = []

    def get(self, ref: Ref) -> Object | None:
        if ref.kind is not DEPLOYMENT:
            return None
        metadata = {"name": ref.name, "creationTimestamp": "2026-01-01T00:00:00Z"}
        return {"kind": "Deployment", "metadata": metadata, "status": {"conditions": self.conditions}}

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        return {"Event": self.events, "Pod": self.pods}.get(kind.kind, [])

    def refuses(self, message: str, at: str, **about: Any) -> None:
        self.events = [
            {
                "metadata": {"name": "e"}, "type": "Warning", "reason": "FailedCreate", "message": message,
                "lastTimestamp": at, "involvedObject": {"kind": "ReplicaSet", "name": "istiod-5d8f", **about},
            }
        ]  # fmt: skip


class Here:
    kubeconfig = None
    context = "one"


def looking(cluster: Told) -> unready.Unready:
    made: Any = cluster
    return unready.Unready(made, lambda: [Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)], Here())


QUOTA = 'Error creating: pods "istiod-5d8f-" is forbidden: exceeded quota: pods'


def test_what_was_refused_before_ends_a_wait_only_when_it_is_refused_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cluster = Told()
    cluster.refuses(QUOTA, "2026-01-01T00:05:00Z")
    wait = looking(cluster)
    for _ in range(50):
        assert "exceeded quota" in wait.check(), "it is shown"
        now += 1
    cluster.refuses(QUOTA, "2026-01-01T00:06:00Z")
    with pytest.raises(Failed, match="exceeded quota"):
        wait.check()


def test_an_image_that_was_missing_before_has_time_to_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(unready, "FINAL_SECONDS", 20.0)
    old, new = imageless("istiod-1"), imageless("istiod-2")
    cluster = Told()
    cluster.pods = [old]
    wait = looking(cluster)
    assert "cannot be pulled" in wait.look()
    now += 30
    wait.look()
    assert wait.over is None
    cluster.pods = [new]  # that of the new template cannot be pulled either
    for seconds, over in ((1, False), (19, False), (2, True)):
        now += seconds
        wait.look()
        assert (wait.over is not None) is over


def imageless(name: str) -> Object:
    return standing(name, {"containerStatuses": [{"image": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}]})


def standing(name: str, status: Object) -> Object:
    owners = [{"name": "istiod"}]
    return {"metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "ownerReferences": owners}, "status": status}


@pytest.mark.parametrize(
    ("message", "final"),
    [
        (QUOTA, True),
        ("(combined from similar events): " + QUOTA, True),
        ('Error creating: pods "x" is forbidden: violates PodSecurity "baseline:latest": NET_ADMIN', True),
        ('Error creating: admission webhook "policy.example" denied the request: no', True),
        ('Error creating: Internal error occurred: failed calling webhook "a": Post "x": service "b" not found', True),
        ('Error creating: Internal error occurred: failed calling webhook "a": connection refused', False),
        ('Error creating: pods "x" is forbidden: error looking up service account a/b: "b" not found', False),
        ("Error creating: etcdserver: request timed out", False),
    ],
)
def test_what_passes_by_itself_is_waited_for(monkeypatch: pytest.MonkeyPatch, message: str, final: bool) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    cluster = Told()
    wait = looking(cluster)
    assert wait.look() == ""
    cluster.refuses(message, "2026-01-01T00:05:00Z")
    for _ in range(3):
        now += 1
        wait.look()
    assert (wait.over is not None) is final
    assert "Error creating" not in wait.look()
    assert "combined" not in wait.look()


def test_events_of_others_and_of_an_earlier_life_are_not_read() -> None:
    cluster = Told()
    for name, at in (("istiod-canary-5d8f", "2026-01-01T00:05:00Z"), ("istiod-5d8f", "2025-12-31T23:59:59Z")):
        cluster.refuses(QUOTA, at, name=name)
        assert looking(cluster).look() == ""
    cluster.events = []
    cluster.conditions = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}]
    assert "exceeded quota" in looking(cluster).look(), "events may be gone, or may not be read"


# -- containers that die


@pytest.mark.inputs("13")
@pytest.mark.parametrize("container", ["discovery", "istio-proxy"])
def test_the_last_words_of_a_container_that_dies_are_told(two: Setting, container: str) -> None:
    words = "info\tbooting\n" * 40 + "fatal\tcannot read \x1b[31mroot-cert.pem\npassword: abcdefgh12345\n"
    two.machine(1).crashing[container] = words
    outcome = unprobed(two).run()
    assert outcome.exit_code == 1
    assert f"container {container} of pod " in outcome.what
    assert "dies again and again (exit code 1" in outcome.what
    assert "root-cert.pem" in outcome.what
    assert "\x1b" not in outcome.what
    assert "abcdefgh12345" not in outcome.what
    assert "logs --previous " in outcome.remedy
    assert len(outcome.what) < 2500


@pytest.mark.inputs("13")
def test_a_sidecar_of_the_sample_that_dies(finished: Setting) -> None:
    finished.machine(1).crashing["istio-proxy"] = "cannot reach istiod.istio-system.svc:15012"
    finished.machine(1).store.remove(Ref(DEPLOYMENT, "curl", "sample"))
    outcome = finished.run()
    assert outcome.exit_code == 1
    assert "its last words: cannot reach istiod.istio-system.svc:15012" in outcome.what


def test_what_others_run_in_the_namespace_does_not_end_our_install(two: Setting) -> None:
    cluster = two.world.clusters["cluster1"]
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
    labels = {"app": "kiali"}
    container = {"name": "kiali", "image": "quay.io/kiali:1", "command": ["/bin/sh", "-c", "echo no; exit 3"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    theirs = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kiali", "namespace": SYSTEM_NAMESPACE},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }  # fmt: skip
    two.machine(1).apply_as("helm", theirs)
    assert two.run().ok


@pytest.mark.parametrize(
    ("status", "told", "final"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
         "cannot be scheduled: 0/3 nodes are available", False),
        ({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "a" not found'}},
         'cannot be started: CreateContainerConfigError secret "a" not found', True),
        ({"waiting": {"reason": "ErrImagePull", "message": "no route"}}, "cannot be pulled: ErrImagePull no route", True),
        ({"waiting": {"reason": "ContainerCreating"}}, "MountVolume.SetUp failed", False),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "failed: Evicted low on disk", False),
        ({"phase": "Failed", "terminated": {"reason": "StartError", "message": "no such file", "exitCode": 128}},
         "failed: StartError no such file", False),
    ],
)  # fmt: skip
def test_each_layer_of_a_pod_has_its_words(status: Object, told: str, final: bool) -> None:
    state = {key: status.pop(key) for key in ("waiting", "terminated") if key in status}
    containers = [{"name": "discovery", "image": "i", "state": state}]
    cluster: Any = Told()
    cluster.pods = [standing("istiod-1", {"containerStatuses": containers, **status})]
    cluster.refuses("MountVolume.SetUp failed", "2026-01-01T00:05:00Z", kind="Pod", name="istiod-1")
    cause = unready.first_cause(cluster, [Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)], Here())
    assert cause is not None
    assert told in cause.text
    assert cause.final is final


# -- OpenShift


def overlay(made: Setting, folder: Path, text: str) -> None:
    file = folder / "openshift.yaml"
    file.write_text(f"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {text}\n")
    made.mesh = replace(made.mesh, istio=replace(made.mesh.istio, overlays=(file,)))


def found(made: Setting, name: str) -> list[Finding]:
    return [finding for finding in check(made.mesh, made.world, RIGHTS) if finding.check == name]


@pytest.mark.inputs("10")
@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        ("{}", ["values.global.platform", "components.cni.enabled"]),
        ("{values: {global: {platform: openshift}}}", ["components.cni.enabled"]),
        ("{components: {cni: {enabled: true}}}", ["values.global.platform"]),
        ("{components: {cni: {enabled: true}}, values: {global: {platform: openshift}}}", []),
    ],
)
def test_openshift_needs_platform_and_cni_and_is_told_before(
    two: Setting, tmp_path: Path, spec: str, missing: list[str]
) -> None:
    assert not found(two, "platform")
    two.machine(2).openshift = True
    overlay(two, tmp_path, spec)
    findings = found(two, "platform")
    assert [finding.cluster for finding in findings] == (["cluster2"] if missing else [])
    for finding in findings:
        assert finding.severity == "error"
        assert all(place in finding.text for place in missing)
        assert "istio.overlays" in finding.remedy
    if missing:
        outcome = two.run()
        assert outcome.exit_code == 1
        assert two.world.clusters["cluster2"].get(SYSTEM) is None


@pytest.mark.inputs("10")
def test_where_openshift_gives_the_user_the_probe_names_none(two: Setting, tmp_path: Path) -> None:
    two.machine(1).openshift = True
    overlay(two, tmp_path, "{components: {cni: {enabled: true}}, values: {global: {platform: openshift}}}")
    outcome = two.run()
    assert outcome.ok, outcome.what


def test_what_openshift_refuses_is_told_with_what_it_takes(two: Setting) -> None:
    cause = unready.let_in("pods is forbidden: unable to validate against any security context constraint", "kubectl")
    assert "platform openshift" in cause


# -- policies


def policy(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE},
        "spec": {"podSelector": {}, **spec},
    }


def test_the_simulated_network_holds_to_policies(two: Setting) -> None:
    machine = two.machine(1)
    labels = {"app": "curl"}
    pod = {"metadata": {"name": "p", "namespace": SYSTEM_NAMESPACE, "labels": labels}}
    two.world.clusters["cluster1"].apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
    )
    assert lets_out(machine, pod, "192.0.2.7", 443)
    machine.apply_as("kubectl", policy("nothing-leaves", policyTypes=["Egress"]))
    machine.apply_as("kubectl", policy("dns-only", egress=[{"ports": [{"port": 53}]}]))
    assert not lets_out(machine, pod, "192.0.2.7", 443)
    machine.apply_as("kubectl", policy("some", egress=[{"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]))
    assert lets_out(machine, pod, "192.0.2.7", 443)
    assert not lets_out(machine, pod, "198.51.100.7", 443)


def test_policies_of_network_plugins_are_a_hint(two: Setting) -> None:
    class Cilium(Told):
        def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
            return [{"metadata": {"name": "lock\x1bdown"}}] if kind.kind == "CiliumNetworkPolicy" else []

    cluster: Any = Cilium()
    told = limiting(cluster, SYSTEM_NAMESPACE, {})
    assert "CiliumNetworkPolicy.cilium.io lock" in told
    assert "\x1b" not in told


# -- namespaces that are going

STUCK = ("NamespaceDeletionDiscoveryFailure", "Discovery failed: metrics.k8s.io/v1beta1: the server is unable")
REMAINS = ("NamespaceContentRemaining", "Some resources are remaining: widgets.example.com has 1 resource instances")


def doom(made: Setting, number: int, ref: Ref, why: tuple[str, str]) -> None:
    """The namespace is there, deleted, and held."""
    cluster = made.world.clusters[f"cluster{number}"]
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ref.name}})
    made.machine(number).stuck[ref.name] = why
    cluster.delete(ref)


@pytest.mark.inputs("12")
def test_a_namespace_that_cannot_go_is_told_before_anything_is_touched(two: Setting) -> None:
    doom(two, 1, SYSTEM, STUCK)
    outcome = two.run()
    assert outcome.exit_code == 1
    assert "namespace istio-system is being deleted" in outcome.what
    assert "the server is unable" in outcome.what
    assert "get apiservices" in outcome.remedy
    assert "probes" not in outcome.remedy
    assert outcome.statuses["cluster1/namespace"] != "done"


@pytest.mark.inputs("12")
@pytest.mark.parametrize("why", [STUCK, REMAINS])
@pytest.mark.parametrize("name", [SYSTEM_NAMESPACE, "sample"])
def test_a_namespace_that_is_going_is_never_done(finished: Setting, why: tuple[str, str], name: str) -> None:
    step = "cluster2/namespace" if name == SYSTEM_NAMESPACE else "cluster2/sample"
    finished.machine(2).stuck[name] = why
    finished.world.clusters["cluster2"].delete(Ref(NAMESPACE, name))
    probe = finished.probe(step)
    assert isinstance(probe, Needed)
    ending = next(each for each in probe.differences if each.object == str(Ref(NAMESPACE, name)))
    assert why[1] in str(ending.found)
    assert ending.transient
    assert Difference(str(Ref(NAMESPACE, name)), "", None, "to be made") in probe.differences
    assert found(finished, "namespace")[0].severity == ("error" if why is STUCK else "warning")


@pytest.mark.inputs("12")
def test_a_namespace_that_goes_after_all_is_waited_for(two: Setting) -> None:
    doom(two, 1, SYSTEM, REMAINS)
    step = two.plan.step("cluster1/namespace")
    machine = two.machine(1)
    seen: list[str] = []

    def emit(event: Event) -> None:
        if isinstance(event, StepWaits):
            seen.append(event.seen)
            machine.stuck.clear()

    step.apply(two.world, Job(step, emit, lambda: None, Shared()))
    assert REMAINS[1] in seen[0]
    live = two.world.clusters["cluster1"].get(SYSTEM)
    assert live is not None
    assert not live["metadata"].get("deletionTimestamp")
    assert live["metadata"]["annotations"][CREATED] == "true"


@pytest.mark.inputs("12")
def test_what_keeps_a_namespace_is_told_when_it_is_taken_back(finished: Setting) -> None:
    finished.machine(1).stuck["sample"] = STUCK
    outcome = finished.undo()
    assert outcome.exit_code == 1
    assert STUCK[1] in outcome.what
    assert "get apiservices" in outcome.remedy


def test_where_only_finalizers_are_left_the_wait_ends_with_their_names(
    two: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "GONE_SECONDS", 0.05)
    doom(two, 1, SYSTEM, ("NamespaceFinalizersRemaining", "Some content has finalizers remaining: a.example/b in 1"))
    step = two.plan.step("cluster1/namespace")
    with pytest.raises(Failed, match=r"finalizers remaining: a\.example/b") as caught:
        step.apply(two.world, job_of(step))
    assert "finalizers" in caught.value.remedy


# -- webhooks that nobody answers


def hooked(made: Setting, name: str, *, kind: str = "ValidatingWebhookConfiguration", **hook: Any) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "*"}
    service = {"name": "gone", "namespace": "policy"}
    given = {"name": f"{name}.example", "clientConfig": {"service": service}, "failurePolicy": "Fail", "rules": [rule]}
    hooks = [{**given, **hook}, *hook.pop("more", [])]
    made.machine(1).apply_as(
        "helm",
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "webhooks": [{key: value for key, value in each.items() if key != "more"} for each in hooks],
        },
    )  # fmt: skip


def rules(**changed: Any) -> list[Object]:
    return [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], **changed}]


@pytest.mark.inputs("14")
@pytest.mark.parametrize("kind", ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"])
def test_a_webhook_whose_service_is_gone_is_named_with_the_command(two: Setting, kind: str) -> None:
    hooked(two, "old policy", kind=kind)
    (finding,) = found(two, "webhook")
    assert (finding.cluster, finding.severity, finding.person) == ("cluster1", "error", True)
    assert f"{kind} old policy" in finding.text
    assert "Service gone in policy, which is gone" in finding.text
    context = two.mesh.clusters[0].context
    assert finding.remedy.endswith(f"kubectl --context={context} delete {kind.lower()} 'old policy'")
    outcome = two.run()
    assert outcome.exit_code == 3
    assert two.world.clusters["cluster1"].get(SYSTEM) is None


@pytest.mark.inputs("14")
@pytest.mark.parametrize(
    ("hook", "severity"),
    [
        ({"failurePolicy": "Ignore"}, "warning"),
        ({"rules": rules()}, "error"),
        ({"rules": rules(apiGroups=["apps"], resources=["deployments"])}, "error"),
        ({"rules": rules(resources=["nodes"])}, "warning"),
        ({"rules": rules(operations=["DELETE"])}, "warning"),
        ({"rules": rules(scope="Cluster")}, "warning"),
        ({"rules": rules(resources=["namespaces"], scope="Cluster")}, "error"),
        ({"rules": rules(), "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, "warning"),
        ({"rules": rules(), "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}}}, "error"),
        ({"rules": rules(), "namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["istio-system", "sample"]}]}}, "warning"),
        ({"rules": rules(), "objectSelector": {"matchLabels": {"team": "shop"}}}, "warning"),
        ({"rules": rules(), "objectSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, "error"),
        ({"rules": rules(), "matchConditions": [{"name": "a", "expression": "false"}]}, "warning"),
    ],
)  # fmt: skip
def test_only_what_refuses_what_we_make_is_an_error(two: Setting, hook: Object, severity: str) -> None:
    hooked(two, "old", **hook)
    (finding,) = found(two, "webhook")
    assert finding.severity == severity


@pytest.mark.parametrize(
    "client",
    [{"url": "https://policy.example/check"}, {"service": {"name": "kube-dns", "namespace": "kube-system"}},
     {"service": {"name": "istiod", "namespace": SYSTEM_NAMESPACE}}],
)  # fmt: skip
def test_a_webhook_that_may_be_answered_is_no_complaint(two: Setting, client: Object) -> None:
    hooked(two, "alive", clientConfig=client)
    assert found(two, "webhook") == []


def test_a_configuration_of_which_one_webhook_is_alive_is_not_deleted_whole(two: Setting) -> None:
    alive = {"name": "b.example", "clientConfig": {"service": {"name": "kube-dns", "namespace": "kube-system"}}}
    hooked(two, "half", more=[alive])
    (finding,) = found(two, "webhook")
    assert " edit validatingwebhookconfiguration half" in finding.remedy


def test_who_may_not_read_webhooks_is_not_kept_out_for_that(two: Setting) -> None:
    hooked(two, "old")
    two.machine(1).missing_rights |= {"list validatingwebhookconfigurations.admissionregistration.k8s.io"}
    assert {finding.severity for finding in check(two.mesh, two.world, RIGHTS)} == {"ok"}


def test_our_own_webhooks_are_no_orphans(finished: Setting) -> None:
    cluster = finished.world.clusters["cluster1"]
    assert [*cluster.objects(MUTATING_WEBHOOK), *cluster.objects(VALIDATING_WEBHOOK)]
    assert cluster.get(Ref(CRD, "securitycontextconstraints.security.openshift.io")) is None
    assert not [finding for finding in check(finished.mesh, finished.world, RIGHTS) if finding.severity != "ok"]
