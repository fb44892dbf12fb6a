"""What a cluster is like is asked, not assumed: NodePorts, taints, and what a gateway opens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from screens.draft import Draft
from tests.unit.conftest import Setting, setting
from wizard.checks.preflight import check
from wizard.clusters.contexts import ContextEntry
from wizard.clusters.kinds import DEPLOYMENT, NODE, SERVICE, Object, Ref
from wizard.clusters.nodeports import preferred, told_node_ports
from wizard.engine.engine import Engine
from wizard.engine.step import Needed
from wizard.errors import BadInput
from wizard.istio import operator as operators
from wizard.mesh.document import document_of, mesh_from, mistakes_in
from wizard.mesh.fields import cluster_field, mesh_field
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster, Gateway, Mesh
from wizard.mesh.tolerations import Toleration, untolerated, wrong_tolerations
from wizard.objects.eastwest import GATEWAY, GATEWAY_SERVICE
from wizard.plan import RIGHTS
from wizard.resolve import resolve

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
    service = finished.machine(1).found(GATEWAY_SERVICE)
    assert service is not None
    assert service["metadata"]["annotations"]["galley.istio.io/analyze-suppress"] == "IST0170"


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
