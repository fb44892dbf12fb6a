"""What a cluster is like is asked, not assumed: NodePorts, domain, taints, namespaces, versions, and what a gateway opens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from screens.draft import Draft
from state import StateFolder
from tests.unit.conftest import Setting, setting
from wizard.checks.preflight import check
from wizard.clusters.contexts import ContextEntry
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, ISTIO_GATEWAY, NODE, POD, SERVICE, Object, Ref
from wizard.clusters.nodeports import preferred, told_node_ports
from wizard.engine.engine import Engine
from wizard.engine.step import Conflict, Done, Needed
from wizard.errors import BadInput
from wizard.istio import operator as operators
from wizard.istio.overlaid import domain_mistakes, matches
from wizard.istio.overlays import conflicting_overlays
from wizard.istio.versions import step_trouble
from wizard.mesh.document import document_of, mesh_from, mistakes_in
from wizard.mesh.fields import cluster_field, mesh_field
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Cluster, Gateway, Mesh
from wizard.mesh.tolerations import Toleration, untolerated, wrong_tolerations
from wizard.objects.gateway import GATEWAY, GATEWAY_SERVICE
from wizard.operations.prepared import prepare
from wizard.plan import RIGHTS, plan_of
from wizard.resolve import resolve
from wizard.simulated.istioctl import SimulatedIstioctl
from wizard.steps.expose import ExposeIstiod, ExposeServices

OTHERS = range(20000, 22768)
ISTIOD = Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE)


def with_gateways(mesh: Mesh, gateway: Gateway) -> Mesh:
    return replace(mesh, clusters=tuple(replace(cluster, gateway=gateway) for cluster in mesh.clusters))


def tells(made: Setting, number: int, *words: str) -> None:
    """The API server of this cluster gives other NodePorts, and its Pod tells."""
    made.machine(number).node_ports = OTHERS
    made.machine(number).apply_as(
        "kubelet",
        {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "kube-apiserver", "namespace": "kube-system", "labels": {"component": "kube-apiserver"}},
            "spec": {"containers": [{"name": "kube-apiserver", "image": "a", "command": ["kube-apiserver", *words]}]},
        },
    )  # fmt: skip


FLAG = "--service-node-port-range=20000-22767"


def unfinished(made: Setting) -> list[Object | None]:
    return [made.world.cluster(cluster.name).get(ISTIOD) for cluster in made.mesh.clusters]


# -- NodePorts


@pytest.mark.inputs("16")
def test_a_range_that_only_a_refusal_tells_is_learnt_before_istio_is_touched(two: Setting) -> None:
    two.machine(1).node_ports = two.machine(2).node_ports = OTHERS
    outcome = two.run()
    assert outcome.exit_code == 3
    assert "20000-22767" in outcome.what
    assert "gateway.port" in outcome.remedy
    assert "21443" in outcome.remedy
    assert unfinished(two) == [None, None]
    assert [item["metadata"]["name"] for item in two.machine(1).listed(SERVICE, "default")] == ["kubernetes"]
    two.mesh = with_gateways(two.mesh, replace(two.mesh.clusters[0].gateway, port=20443, address=None))
    two.mesh = resolve(two.mesh, two.world)
    assert two.run().ok


@pytest.mark.inputs("16")
def test_nothing_but_a_run_asks_for_what_is_refused(two: Setting) -> None:
    two.machine(1).node_ports = OTHERS
    resolve(with_gateways(two.mesh, Gateway()), two.world)
    check(two.mesh, two.world, RIGHTS)
    Engine(two.plan, two.world, Silent(), lambda _: None, mesh="mesh1").look()
    assert two.machine(1).asked.get("apply", 0) == 0


class Silent:
    def begin(self, step: str, inputs: str, *, undo: bool = False) -> None: ...

    def end(self, step: str, status: str, detail: str = "") -> None: ...


@pytest.mark.inputs("16")
@pytest.mark.parametrize("words", [(FLAG,), ("--service-node-port-range", "20000-22767")])
def test_a_range_that_the_api_servers_pod_tells_is_used(two: Setting, words: tuple[str, ...]) -> None:
    open_again = with_gateways(two.mesh, Gateway())
    tells(two, 1, *words)
    apart = resolve(open_again, two.world)
    assert [cluster.gateway.port for cluster in apart.clusters] == [21443, 31443], "they have none in common"
    tells(two, 2, *words)
    two.mesh = resolve(open_again, two.world)
    assert [cluster.gateway.port for cluster in two.mesh.clusters] == [21443, 21443]
    assert two.run().ok
    again = resolve(open_again, two.world)
    assert again == two.mesh, "what stands stays"


@pytest.mark.inputs("16")
def test_a_port_that_the_range_refuses_is_bad_input_where_the_pod_tells(two: Setting) -> None:
    tells(two, 2, FLAG)
    with pytest.raises(BadInput) as caught:
        resolve(two.mesh, two.world)
    (mistake,) = caught.value.mistakes
    assert mistake.path == "clusters[1].gateway.port"
    assert "20000-22767" in mistake.text
    # What an earlier run found, and nobody named, is found anew.
    settled = resolve(two.mesh, two.world, with_gateways(two.mesh, Gateway()))
    assert [cluster.gateway.port for cluster in settled.clusters] == [31443, 21443]


def test_an_api_server_without_the_flag_has_the_usual_range(two: Setting) -> None:
    assert told_node_ports(two.world.cluster("cluster1")) is None
    tells(two, 1, "--secure-port=6443")
    assert told_node_ports(two.world.cluster("cluster1")) == range(30000, 32768)
    assert preferred(range(30000, 32768))[0] == 31443
    assert preferred(range(80, 100))[0] == 80


@pytest.mark.inputs("16")
def test_a_port_that_is_only_proposed_is_left_to_what_the_clusters_have() -> None:
    draft = Draft()
    for number in (1, 2):
        entry = ContextEntry(f"c{number}", Path("k"), f"https://10.0.0.{number}:6443", "u", "token")
        (candidate,) = draft.offer([entry])
        draft.toggle(candidate.id)
    first, _ = draft.chosen
    draft.answer_cluster(first, "gateway.port", 20443)
    ports = [entry["gateway"].get("port") for entry in draft.document()["clusters"]]
    assert ports == [20443, 31443]
    assert [entry["gateway"].get("port") for entry in draft.wanted()["clusters"]] == [20443, None]


# -- what overlays set


def operator(spec: object) -> str:
    return yaml.safe_dump({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec})


def domain(name: object) -> str:
    return operator({"values": {"global": {"proxy": {"clusterDomain": name}}}})


@pytest.fixture
def overlay(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text)
        return path

    return write


def overlaid(mesh: Mesh, path: Path) -> Mesh:
    return replace(mesh, istio=replace(mesh.istio, overlays=(path,)))


def of_its_own(mesh: Mesh, number: int, *paths: Path) -> Mesh:
    return mesh.with_cluster(replace(mesh.clusters[number - 1], overlays=paths))


@pytest.mark.inputs("17")
def test_hosts_follow_the_cluster_domain(two: Setting, overlay: Callable[[str], Path]) -> None:
    usual = ExposeServices(two.mesh, two.mesh.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"]
    two.mesh = overlaid(two.mesh, overlay(domain("corp.internal")))
    changed = ExposeServices(two.mesh, two.mesh.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"]
    assert (usual, changed) == (["*.local"], ["*.corp.internal"])
    service = ExposeIstiod(two.mesh, two.mesh.clusters[0]).manifests()[1]["spec"]["tls"][0]["route"][0]["destination"]
    assert service["host"] == "istiod.istio-system.svc.corp.internal"
    assert two.run().ok, "the proxies of each cluster reach the others by that name"
    two.machine(1).change(
        Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE),
        lambda item: item["spec"]["servers"][0].update(hosts=["*.local"]),
    )
    assert isinstance(two.probe("cluster1/expose-services"), Needed)
    assert isinstance(two.probe("cluster2/verify"), Needed), (
        "as in a real mesh, what is named otherwise is not passed on"
    )


@pytest.mark.inputs("17")
def test_one_mesh_has_one_cluster_domain(two: Setting, overlay: Callable[[str], Path], tmp_path: Path) -> None:
    corp, again, bad = overlay(domain("corp.internal")), overlay(domain("corp.internal")), overlay(domain("corp_.x"))
    everywhere = of_its_own(of_its_own(two.mesh, 1, corp), 2, again)
    assert domain_mistakes(everywhere) == ()
    for mesh in (of_its_own(two.mesh, 2, corp), of_its_own(two.mesh, 1, bad), overlaid(two.mesh, bad)):
        with pytest.raises(BadInput) as caught:
            prepare(mesh, two.outside, StateFolder(tmp_path / "state"))
        assert "overlays" in caught.value.mistakes[0].path
        assert "domain" in caught.value.mistakes[0].text
    # The later file wins, and a cluster's own over the mesh's.
    both = of_its_own(overlaid(two.mesh, overlay(domain("first.internal"))), 1, corp)
    assert ExposeServices(both, both.clusters[0]).manifests()[0]["spec"]["servers"][0]["hosts"] == ["*.corp.internal"]


@pytest.mark.inputs("21")
def test_a_cluster_has_overlays_and_annotations_of_its_own(two: Setting, overlay: Callable[[str], Path]) -> None:
    file = overlay(operator({"meshConfig": {"accessLogFile": "/dev/stdout"}}))
    two.mesh = of_its_own(two.mesh, 2, file)
    internal = {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}
    second = two.mesh.clusters[1]
    two.mesh = two.mesh.with_cluster(
        replace(second, gateway=replace(second.gateway, annotations=tuple(internal.items())))
    )
    assert mesh_from(document_of(two.mesh)) == two.mesh
    assert two.run().ok
    found = [made_annotations(two, number) for number in (1, 2)]
    assert internal.items() <= found[1].items()
    assert not internal.items() & found[0].items()
    configs = [two.machine(number).found(Ref(CONFIG_MAP, "istio", SYSTEM_NAMESPACE)) for number in (1, 2)]
    assert ["accessLogFile" in (config or {})["data"]["mesh"] for config in configs] == [False, True]
    two.machine(2).change(GATEWAY_SERVICE, lambda item: item["metadata"]["annotations"].clear())
    probe = two.probe("cluster2/install")
    assert isinstance(probe, Needed)
    assert any("aws-load-balancer-scheme" in each.field for each in probe.differences)


def made_annotations(made: Setting, number: int) -> dict[str, str]:
    service = made.machine(number).found(GATEWAY_SERVICE)
    assert service is not None
    return service["metadata"].get("annotations") or {}


@pytest.mark.inputs("21")
def test_an_overlay_of_one_cluster_that_contradicts_is_named_by_its_place(
    two: Setting, overlay: Callable[[str], Path]
) -> None:
    (mistake,) = conflicting_overlays(of_its_own(two.mesh, 2, overlay(operator({"profile": "demo"}))))
    assert mistake.path == "clusters[1].overlays[0]"


SELECTED = {"matchLabels": {"istio-discovery": "enabled"}}
BY_NAME = {
    "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["sample", "istio-system"]}]
}


@pytest.mark.inputs("21")
def test_selectors_that_leave_our_namespaces_out_are_refused(
    two: Setting, overlay: Callable[[str], Path], tmp_path: Path
) -> None:
    def refused(spec: object) -> list[str]:
        mesh = overlaid(two.mesh, overlay(operator(spec)))
        try:
            prepare(mesh, two.outside, StateFolder(tmp_path / "state"))
        except BadInput as bad:
            return [f"{each.path} {each.text}" for each in bad.mistakes]
        return []

    told = refused({"meshConfig": {"discoverySelectors": [SELECTED]}})
    assert len(told) == 2
    assert all(each.startswith("istio.overlays[0] ") for each in told)
    assert "namespace istio-system" in told[0]
    assert "namespace sample" in told[1]
    assert len(refused({"values": {"meshConfig": {"discoverySelectors": [SELECTED]}}})) == 2
    assert refused({"meshConfig": {"discoverySelectors": [SELECTED, BY_NAME]}}) == []
    for number in (1, 2):
        for name in ("sample", "istio-system"):
            labels = {"istio-discovery": "enabled"}
            two.machine(number).apply_as(
                "kubectl", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            )
    assert refused({"meshConfig": {"discoverySelectors": [SELECTED]}}) == []


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Near"}]}, False),
        ("a=1", False),
    ],
)
def test_selectors_as_kubernetes_reads_them(selector: object, selected: bool) -> None:
    assert matches(selector, {"a": "1"}) is selected


# -- versions


def with_istioctl(made: Setting, version: str) -> Setting:
    """The same clusters, with an istioctl of that version."""
    istioctl = SimulatedIstioctl(made.outside.machine, version, "istioctl")
    mesh = replace(made.mesh, istio=replace(made.mesh.istio, version=version))
    return Setting(made.outside, mesh, replace(made.world, istioctl=istioctl))


@pytest.mark.inputs("18")
@pytest.mark.parametrize(
    ("standing", "wanted", "trouble"),
    [
        ("1.29.1", "1.29.1", ""), ("1.28.0", "1.29.1", ""), ("1.29.1", "1.29.4", ""), ("1.29.1-distroless", "1.29.1", ""),
        ("1.29.1", "1.29.0", "older"), ("1.29.1", "1.26.0", "older"), ("1.26.0", "1.28.0", "more than one minor"),
        ("", "1.29.1", ""), ("latest", "1.29.1", ""),
    ],
)  # fmt: skip
def test_steps_between_versions(standing: str, wanted: str, trouble: str) -> None:
    assert trouble in (step_trouble(standing, wanted) or "")
    assert bool(step_trouble(standing, wanted)) is bool(trouble)


@pytest.mark.inputs("18")
@pytest.mark.parametrize("version", ["1.26.0", "1.31.2"])
def test_a_step_that_istio_does_not_support_needs_consent(finished: Setting, version: str) -> None:
    other = with_istioctl(finished, version)
    probe = other.probe("cluster1/install")
    assert isinstance(probe, Conflict)
    assert version in probe.what
    assert "1.29.1" in probe.what
    assert "--version-step" in probe.remedy
    outcome = other.run()
    assert outcome.exit_code == 3
    istiod = other.machine(1).found(ISTIOD)
    assert istiod is not None
    assert istiod["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1.29.1")
    assert any("--version-step" in finding.remedy for finding in check(other.mesh, other.world, RIGHTS))
    assert Engine(consented(other), other.world, Silent(), lambda _: None, mesh="mesh1").run().ok
    assert isinstance(other.probe("cluster1/install"), Done)


def consented(made: Setting) -> Any:
    return plan_of(made.mesh, version_step=True)


def shop(made: Setting, number: int) -> None:
    """Somebody's own Deployment with a sidecar."""
    world = made.machine(number)
    labels = {"app": "shop"}
    metadata = {"name": "shop", "labels": {"istio-injection": "enabled"}}
    world.apply_as("kubectl", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "shop", "image": "shop:1"}]}}
    world.apply_as(
        "kubectl",
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    )  # fmt: skip


def pods(made: Setting, number: int, namespace: str) -> dict[str, set[str]]:
    """Pod → the tags of its proxies."""
    found = {}
    for pod in made.machine(number).listed(POD, namespace):
        spec = pod["spec"]
        everything = [*(spec.get("initContainers") or []), *spec["containers"]]
        proxies = {each["image"].rpartition(":")[2] for each in everything if each["name"] == "istio-proxy"}
        if proxies:
            found[pod["metadata"]["name"]] = proxies
    return found


@pytest.mark.inputs("18")
def test_old_proxies_of_others_are_a_difference_that_names_the_command(finished: Setting) -> None:
    shop(finished, 1)
    before = pods(finished, 1, "shop")
    assert set(map(frozenset, before.values())) == {frozenset({"1.29.1"})}
    newer = with_istioctl(finished, "1.30.0")
    outcome = newer.run()
    assert outcome.exit_code == 3, "a person is needed for what is theirs"
    assert "Deployment shop in shop" in outcome.what
    command = "-n shop rollout restart deployment/shop"
    assert command in outcome.remedy
    assert pods(newer, 1, "shop") == before, "other people's Pods are not restarted"
    probe = newer.probe("cluster1/proxies")
    assert isinstance(probe, Needed)
    (difference,) = probe.differences
    assert (difference.object, difference.found) == ("Deployment shop in shop", "1.29")
    assert command in str(difference.wanted)
    for namespace in ("sample", SYSTEM_NAMESPACE):
        tags = set().union(*pods(newer, 1, namespace).values())
        assert tags == {"1.30.0"}, "our own are"
    for name in before:
        newer.world.cluster("cluster1").delete(Ref(POD, name, "shop"))
    assert newer.run().ok
    assert isinstance(newer.probe("cluster1/proxies"), Done)


@pytest.mark.inputs("18")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, ["Pod alone in default"]),
        ({"status": {"phase": "Succeeded"}}, []),
        ({"image": "istio/proxyv2:1.29.7"}, []),
        ({"image": "istio/proxyv2:latest"}, []),
        ({"image": "istio/proxyv2:1.28.3@sha256:" + "0" * 64}, ["Pod alone in default"]),
        ({"revision": "canary"}, []),
        ({"owner": {"kind": "StatefulSet", "name": "db"}}, ["StatefulSet db in default"]),
    ],
)
def test_which_proxies_are_old(finished: Setting, change: dict[str, Any], named: list[str]) -> None:
    metadata: Object = {
        "name": "alone",
        "namespace": "default",
        "labels": {"security.istio.io/tlsMode": "istio"},
        "annotations": {"sidecar.istio.io/status": json.dumps({"revision": change.get("revision", "default")})},
    }
    if "owner" in change:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "uid": "1", **change["owner"]}]
    spec = {"containers": [{"name": "istio-proxy", "image": change.get("image", "istio/proxyv2:1.28.3")}]}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    if "status" in change:
        pod["status"] = change["status"]
    finished.machine(1).apply_as("kubectl", pod)
    probe = finished.probe("cluster1/proxies")
    assert [each.object for each in (probe.differences if isinstance(probe, Needed) else ())] == named


@pytest.mark.inputs("18")
def test_a_gateway_with_an_old_proxy_is_made_anew_without_another_version(finished: Setting) -> None:
    """As where a run was killed between the install and the gateway's new Pods."""
    newer = with_istioctl(finished, "1.30.0")
    assert newer.run().ok
    (pod,) = [each for each in pods(newer, 1, SYSTEM_NAMESPACE) if each.startswith(GATEWAY_NAME)]

    def old(item: Object) -> None:
        item["spec"]["containers"][0]["image"] = "docker.io/istio/proxyv2:1.29.1"

    newer.machine(1).change(Ref(POD, pod, SYSTEM_NAMESPACE), old, manager="kubelet")
    newer.machine(1).change(
        GATEWAY, lambda item: item["spec"]["template"]["metadata"]["annotations"].pop("meshwizard/proxy-version")
    )
    newer.machine(1).change(
        Ref(POD, next(iter(pods(newer, 1, SYSTEM_NAMESPACE))), SYSTEM_NAMESPACE), old, manager="kubelet"
    )
    assert isinstance(newer.probe("cluster1/install"), Needed)
    assert newer.run().ok
    assert set().union(*pods(newer, 1, SYSTEM_NAMESPACE).values()) == {"1.30.0"}


# -- taints

TAINT = {"key": "dedicated", "value": "infra", "effect": "NoSchedule"}
TOLERATIONS = (Toleration("dedicated", "Equal", "infra", "NoSchedule"),)


def taint(made: Setting, number: int, *taints: dict[str, str]) -> None:
    machine = made.machine(number)
    machine.change(Ref(NODE, machine.node_name), lambda item: item["spec"].update(taints=list(taints)))


@pytest.mark.inputs("19")
def test_a_taint_that_a_ready_node_is_about_to_lose_keeps_nobody_away(two: Setting) -> None:
    taint(two, 1, {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    assert [found.text for found in check(two.mesh, two.world, RIGHTS) if found.severity == "error"] == []


@pytest.mark.inputs("19")
def test_a_cluster_whose_nodes_are_all_tainted_is_told_before(two: Setting) -> None:
    taint(two, 1, TAINT)
    (finding,) = [each for each in check(two.mesh, two.world, RIGHTS) if each.check == "nodes"]
    assert (finding.cluster, finding.severity) == ("cluster1", "error")
    assert "dedicated=infra:NoSchedule" in finding.text
    assert "tolerations" in finding.remedy
    assert two.run().exit_code == 1
    assert unfinished(two)[0] is None
    taint(two, 1, {**TAINT, "effect": "PreferNoSchedule"})
    assert [each for each in check(two.mesh, two.world, RIGHTS) if each.check == "nodes"] == []


@pytest.mark.inputs("19")
def test_one_setting_of_tolerations_serves_all_that_is_made(two: Setting) -> None:
    two.mesh = replace(two.mesh, tolerations=TOLERATIONS)
    for number in (1, 2):
        taint(two, number, TAINT)
    assert mesh_from(document_of(two.mesh)) == two.mesh
    assert two.run().ok
    wanted = [each.manifest() for each in TOLERATIONS]
    for ref in (ISTIOD, GATEWAY, Ref(DEPLOYMENT, "curl", "sample"), Ref(DEPLOYMENT, "helloworld-v1", "sample")):
        live = two.machine(1).found(ref)
        assert live is not None
        assert live["spec"]["template"]["spec"]["tolerations"] == wanted, str(ref)
    assert two.run().ok
    assert two.outside.istioctl.installs == 2


@pytest.mark.parametrize(
    ("toleration", "keeping"),
    [
        (Toleration(operator="Exists"), []),
        (Toleration("dedicated", "Exists"), []),
        (Toleration("dedicated", None, "infra"), []),
        (Toleration("dedicated", "Equal", "infra", "NoExecute"), ["dedicated=infra:NoSchedule"]),
        (Toleration("dedicated", "Equal", "other"), ["dedicated=infra:NoSchedule"]),
        (Toleration("other", "Exists"), ["dedicated=infra:NoSchedule"]),
    ],
)
def test_tolerations_as_kubernetes_reads_them(toleration: Toleration, keeping: list[str]) -> None:
    assert untolerated({"spec": {"taints": [TAINT]}}, [toleration]) == keeping


@pytest.mark.inputs("19")
@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ([{"operator": "Exists"}], ""),
        ([{"key": "example.com/a", "value": "b", "effect": "NoExecute", "tolerationSeconds": 30}], ""),
        ("all", "list"),
        (["all"], "entry 1"),
        ([{"key": "a"}, {"key": "a b"}], "entry 2"),
        ([{"operator": "Equal"}], "Exists"),
        ([{"key": "a", "operator": "Exists", "value": "b"}], "no value"),
        ([{"key": "a", "operator": "Gt"}], "none of"),
        ([{"key": "a", "effect": "Never"}], "none of"),
        ([{"key": "a", "tolerationSeconds": 3}], "NoExecute"),
        ([{"key": "a", "effect": "NoExecute", "tolerationSeconds": True}], "whole number"),
        ([{"key": "a", "value": True}], "quote it"),
        ([{"key": "a", "effects": "NoExecute"}], "unknown key"),
    ],
)
def test_tolerations_of_a_mesh_file(value: object, wrong: str) -> None:
    assert wrong in (wrong_tolerations(value) or "")
    assert bool(wrong_tolerations(value)) is bool(wrong)


def test_what_is_wrong_is_told_with_its_place() -> None:
    clusters = [{"name": f"c{number}", "context": f"c{number}", "network": f"n{number}"} for number in (1, 2)]
    document = {
        "apiVersion": "meshwizard/v1", "kind": "Mesh", "tolerations": [{"key": "a", "operator": "Near"}],
        "clusters": [clusters[0] | {"gateway": {"annotations": {"a b": "c"}}}, clusters[1] | {"overlays": "x.yaml"}],
    }  # fmt: skip
    assert [each.path for each in mistakes_in(document)] == [
        "tolerations", "clusters[0].gateway.annotations", "clusters[1].overlays",
    ]  # fmt: skip
    assert mesh_field("tolerations").parse("[{operator: Exists}]") == [{"operator": "Exists"}]
    assert cluster_field("gateway.annotations").parse("{a: 'true'}") == {"a": "true"}
    assert cluster_field("gateway.annotations").mistake({"a": True})


# -- what a gateway opens


def opened(gateway: Gateway, *, remote: bool = False, discovery: str | None = None) -> list[int]:
    first = Cluster("cluster1", "one", "network1", gateway=gateway)
    second = Cluster("cluster2", "two", "network2", gateway=Gateway(address="10.0.0.2", port=31443))
    if remote:
        second = replace(second, role="remote", primary="cluster1", discovery=discovery)
    mesh = Mesh("mesh1", (first, second), "primary-remote" if remote else "multi-primary")
    mesh = replace(mesh, istio=replace(mesh.istio, version="1.29.1"))
    gateways = operators.operator_of(mesh, first)["spec"]["components"]["ingressGateways"]
    return [port["port"] for port in gateways[0]["k8s"]["service"]["ports"]]


@pytest.mark.inputs("22b")
@pytest.mark.parametrize("exposure", ["node-port", "external-ips", "cluster-ip-route", "load-balancer"])
def test_a_gateway_opens_what_its_role_needs(exposure: str) -> None:
    gateway = Gateway(exposure, "10.0.0.1", 31443 if exposure == "node-port" else None)
    health = [15021] if exposure == "load-balancer" else []
    assert opened(gateway) == [*health, 15443]
    assert opened(gateway, remote=True, discovery="10.9.9.9") == [*health, 15443, 15012, 15017]


@pytest.mark.inputs("22b")
def test_the_gateways_of_a_mesh_are_alike_and_nothing_is_drawn_at_random(finished: Setting) -> None:
    services = [finished.machine(number).found(GATEWAY_SERVICE) for number in (1, 2)]
    first, second = [(service or {})["spec"]["ports"] for service in services]
    assert first == second
    assert [(port["port"], port["nodePort"]) for port in first] == [(15443, 31443)]
    assert made_annotations(finished, 1)["galley.istio.io/analyze-suppress"] == "IST0170"


@pytest.mark.inputs("22b")
def test_a_gateway_of_an_earlier_release_is_a_difference_that_one_install_mends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def earlier(mesh: Mesh, cluster: Cluster) -> list[Object]:
        ports = (("tls", 15443), ("status-port", 15021), ("tls-istiod", 15012), ("tls-webhook", 15017))
        return [{"name": name, "port": port, "targetPort": port} for name, port in ports]

    made = setting(2)
    with monkeypatch.context() as before:
        before.setattr(operators, "ports_of", earlier)
        before.setattr(operators, "service_annotations", lambda cluster: {})
        before.setattr("wizard.objects.gateway.service_annotations", lambda cluster: {})
        operators.operator_yaml.cache_clear()
        assert made.run().ok
    operators.operator_yaml.cache_clear()
    probe = made.probe("cluster1/install")
    assert isinstance(probe, Needed)
    assert any("ingressGateways" in each.field for each in probe.differences)
    assert made.run().ok
    service = made.machine(1).found(GATEWAY_SERVICE)
    assert service is not None
    assert [port["port"] for port in service["spec"]["ports"]] == [15443]
    assert made.run().ok
    assert made.outside.istioctl.installs == 4, "one more for each cluster, and no more"
