"""What one cluster will use of another is tried from inside, and told where it is closed; probes never stay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.reach_fakes import (
    HANGS,
    NO_ROUTE,
    OPEN,
    REFUSED,
    SPEAKS,
    TIMEOUT,
    UNRESOLVED,
    Clock,
    FakeCluster,
    Hands,
    member,
    mesh_of,
    world_of,
)
from wizard.clusters.kinds import EVENT, JOB, NETWORK_POLICY, POD, Object, Ref
from wizard.engine.events import StepSaid
from wizard.engine.step import Done, Needed
from wizard.errors import Failed, Interrupted, NeedsPerson, NotAllowed, Unreachable
from wizard.mesh.model import Gateway, Mesh
from wizard.objects.eastwest import GATEWAY_SERVICE, ingress_of
from wizard.probes import curlpod
from wizard.probes.curlpod import LABEL, answers
from wizard.steps import reach
from wizard.steps.loadbalancer import GatewayAddress
from wizard.steps.reach import Reach, ReachApi, ReachDiscovery, ReachGateways
from wizard.world import World


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr("time.monotonic", made)
    yield made


def reached(step: Reach, world: World, clock: Clock) -> list[str]:
    """What the step says where all is open."""
    hands = Hands(clock, step)
    step.apply(world, hands.job)
    return [event.text for event in hands.events if isinstance(event, StepSaid)]


def closed(step: Reach, world: World, clock: Clock) -> Failed:
    with pytest.raises(Failed) as caught:
        step.apply(world, Hands(clock, step).job)
    return caught.value


def api(mesh: Mesh) -> ReachApi:
    return ReachApi(mesh, mesh.clusters[0])


def gateways(mesh: Mesh) -> ReachGateways:
    return ReachGateways(mesh, mesh.clusters[0])


def test_api_servers_of_all_peers_are_tried_by_one_pod(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2), member(3, role="remote", primary="cluster1"))
    world, clusters = world_of(mesh)
    assert isinstance(api(mesh).probe(world), Needed)
    assert reached(api(mesh), world, clock) == [
        "cluster1 reaches the API server of cluster2 and the API server of cluster3"
    ]
    assert clusters["cluster1"].tried == ["https://10.0.0.2:6443", "https://10.0.0.3:6443"]
    assert len(clusters["cluster1"].jobs) == 1
    assert clusters["cluster1"].probes() == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (TIMEOUT, "timed out after 4 s (a firewall?)"),
        (NO_ROUTE, "No route to host"),
        (REFUSED, "Connection refused"),
        (HANGS, "takes the connection, but gives no answer within 4 s"),
        (UNRESOLVED, "the name cannot be resolved"),
    ],
)
def test_a_closed_api_server_is_told_with_what_to_open(clock: Clock, said: Any, why: str) -> None:
    mesh = mesh_of(member(1), member(2), member(3))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.2:6443": said, "10.0.0.3:6443": TIMEOUT}
    failure = closed(api(mesh), world, clock)
    assert f"cluster1 cannot reach the API server of cluster2 at https://10.0.0.2:6443: {why}" in failure.what
    assert "the API server of cluster3 at https://10.0.0.3:6443: timed out" in failure.what
    assert failure.peers == ("cluster2", "cluster3")
    assert "TCP from the nodes of cluster1 (10.0.0.1) to" in failure.remedy
    assert "10.0.0.3 port 6443" in failure.remedy
    assert clusters["cluster1"].probes() == []


PROBES = [
    {"key": LABEL, "operator": "Exists"},
    {"key": "sidecar.istio.io/inject", "operator": "In", "values": ["false"]},
]


def policy(name: str, **spec: Any) -> tuple[Ref, Object]:
    ref = Ref(NETWORK_POLICY, name, "istio-system")
    return ref, {"metadata": {"name": name, "namespace": "istio-system"}, "spec": {"podSelector": {}, **spec}}


@pytest.mark.inputs("11")
@pytest.mark.parametrize(("said", "told"), [(TIMEOUT, True), (UNRESOLVED, True), (NO_ROUTE, True), (REFUSED, False)])
def test_policies_that_select_the_probe_are_named_where_nothing_comes_back(clock: Clock, said: Any, told: bool) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].items |= dict(
        [
            policy("nothing-leaves", policyTypes=["Ingress", "Egress"]),
            policy("dns-only", egress=[{"ports": [{"port": 53}]}]),
            policy("nothing-enters", policyTypes=["Ingress"]),
            policy("of-ingress-by-default"),
            policy("of-others", policyTypes=["Egress"], podSelector={"matchLabels": {"app": "kiali"}}),
            policy("of-probes", policyTypes=["Egress"], podSelector={"matchExpressions": PROBES}),
        ]
    )
    clusters["cluster1"].says = {"10.0.0.2:6443": said}
    remedy = closed(api(mesh), world, clock).remedy
    for name in ("nothing-leaves", "dns-only", "of-probes"):
        assert (f"NetworkPolicy {name} in istio-system" in remedy) is told
    for name in ("nothing-enters", "of-ingress-by-default", "of-others"):
        assert name not in remedy


def test_a_path_that_opens_soon_is_waited_for(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.2:6443": [TIMEOUT, OPEN]}
    assert reached(api(mesh), world, clock)


@pytest.mark.parametrize("said", [OPEN, SPEAKS, REFUSED, HANGS])
def test_a_gateway_needs_an_open_path_only(clock: Clock, said: Any) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.2:31443": said}
    assert reached(gateways(mesh), world, clock) == ["cluster1 reaches the gateway of cluster2"]


@pytest.mark.parametrize("said", [TIMEOUT, NO_ROUTE, UNRESOLVED])
def test_a_gateway_behind_a_closed_path_is_told(clock: Clock, said: Any) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.2:31443": said}
    failure = closed(gateways(mesh), world, clock)
    assert "cluster1 cannot reach the gateway of cluster2 at https://10.0.0.2:31443" in failure.what


def balanced(**ingress: str) -> Object:
    return {"metadata": {"name": "x"}, "status": {"loadBalancer": {"ingress": [ingress] if ingress else []}}}


def test_each_exposure_has_its_address(clock: Clock) -> None:
    mesh = mesh_of(
        member(1),
        member(2, Gateway("external-ips", "10.0.0.2")),
        member(3, Gateway("cluster-ip-route", "10.96.0.255", None, "10.0.0.3"), service_cidr="10.96.0.0/16"),
        member(4, Gateway("load-balancer", "lb.example.com")),
        member(5, Gateway("load-balancer")),
        member(6, Gateway("node-port", "fd00::6", 31443)),
    )
    world, clusters = world_of(mesh)
    clusters["cluster5"].items[GATEWAY_SERVICE] = balanced(hostname="elb.example.com")
    reached(gateways(mesh), world, clock)
    assert [url.removeprefix("https://") for url in clusters["cluster1"].tried] == [
        "10.0.0.2:15443", "10.96.0.255:15443", "lb.example.com:15443", "elb.example.com:15443", "[fd00::6]:31443",
    ]  # fmt: skip
    assert set(gateways(mesh).needs) == {
        "cluster1/namespace", "cluster3/install", "cluster1/route/cluster3", "cluster5/gateway-address",
    }  # fmt: skip


@pytest.mark.inputs("20")
def test_every_address_of_a_gateway_is_tried(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2, Gateway("node-port", "10.0.0.2", 31443, more=("10.0.0.22",))))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.22:31443": TIMEOUT}
    assert "https://10.0.0.22:31443: timed out" in closed(gateways(mesh), world, clock).what
    assert "https://10.0.0.2:31443" in clusters["cluster1"].tried


@pytest.mark.inputs("6")
@pytest.mark.parametrize("own", ["service", "node"])
def test_a_load_balancer_that_gives_an_address_of_the_caller_needs_a_person(clock: Clock, own: str) -> None:
    mesh = mesh_of(member(1, Gateway("load-balancer")), member(2, Gateway("load-balancer")))
    world, clusters = world_of(mesh)
    clusters["cluster2"].items[GATEWAY_SERVICE] = balanced(ip="192.0.2.240")
    if own == "service":
        clusters["cluster1"].items[GATEWAY_SERVICE] = balanced(ip="192.0.2.240")
    else:
        clusters["cluster1"].node("another", "192.0.2.240")
    with pytest.raises(
        NeedsPerson, match=r"cluster2 gave 192\.0\.2\.240, which is an address of cluster1 itself"
    ) as caught:
        gateways(mesh).apply(world, Hands(clock, gateways(mesh)).job)
    assert caught.value.peers == ("cluster2",)
    assert clusters["cluster1"].jobs == []


def test_a_gateway_without_an_address_is_told(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2, Gateway("load-balancer")))
    world, clusters = world_of(mesh)
    assert "gateway of cluster2 has no address" in closed(gateways(mesh), world, clock).what
    assert clusters["cluster1"].jobs == []


def dns_pod(address: str, phase: str = "Running") -> Object:
    return {
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "status": {"phase": phase, "podIP": address},
    }


def test_on_a_shared_network_a_pod_is_tried(clock: Clock) -> None:
    mesh = mesh_of(member(1, network="flat"), member(2, network="flat"), member(3))
    world, clusters = world_of(mesh)
    clusters["cluster2"].items[Ref(POD, "coredns", "kube-system")] = dns_pod("10.245.0.3")
    reached(gateways(mesh), world, clock)
    assert clusters["cluster1"].tried == ["https://10.0.0.3:31443", "https://10.245.0.3:53"]
    clusters["cluster1"].says = {"10.245.0.3:53": NO_ROUTE}
    failure = closed(gateways(mesh), world, clock)
    assert "cluster1 cannot reach Pod coredns of cluster2" in failure.what
    assert failure.peers == ("cluster2",)
    assert "give the clusters different networks" in failure.remedy
    assert "port 53" not in failure.remedy


@pytest.mark.parametrize("pod", [None, dns_pod("10.245.0.3", "Pending"), dns_pod("rubbish")])
def test_where_no_pod_can_be_tried_none_is_made(clock: Clock, pod: Object | None) -> None:
    mesh = mesh_of(member(1, network="flat"), member(2, network="flat"))
    world, clusters = world_of(mesh)
    if pod:
        clusters["cluster2"].items[Ref(POD, "coredns", "kube-system")] = pod
    reached(gateways(mesh), world, clock)
    assert clusters["cluster1"].jobs == []


def remote_mesh(gateway: Gateway, **fields: Any) -> Mesh:
    return mesh_of(
        member(1, gateway, service_cidr="10.96.0.0/16"), member(2, role="remote", primary="cluster1", **fields)
    )


def discovery(mesh: Mesh) -> ReachDiscovery:
    return ReachDiscovery(mesh, mesh.cluster("cluster2"))


def test_istiod_is_tried_where_its_remote_will_look(clock: Clock) -> None:
    mesh = remote_mesh(Gateway("external-ips", "10.0.0.1"))
    world, clusters = world_of(mesh)
    # Envoy opens its ports a moment after it is told to.
    clusters["cluster2"].says = {"10.0.0.1:15017": [REFUSED, REFUSED, SPEAKS]}
    assert reached(discovery(mesh), world, clock) == ["cluster2 reaches istiod of cluster1"]
    assert clusters["cluster2"].tried[:2] == ["https://10.0.0.1:15012", "https://10.0.0.1:15017"]
    assert discovery(mesh).needs == ("cluster2/namespace", "cluster1/install", "cluster1/expose-istiod")


@pytest.mark.parametrize("said", [REFUSED, TIMEOUT])
def test_istiod_that_does_not_answer_is_told(clock: Clock, said: Any) -> None:
    mesh = remote_mesh(Gateway("external-ips", "10.0.0.1"))
    world, clusters = world_of(mesh)
    clusters["cluster2"].says = {"10.0.0.1:15012": said}
    failure = closed(discovery(mesh), world, clock)
    assert "cluster2 cannot reach istiod of cluster1 at https://10.0.0.1:15012" in failure.what
    assert "15017" not in failure.what
    assert "10.0.0.1 port 15012" in failure.remedy


def test_istiod_behind_a_load_balancer_and_elsewhere(clock: Clock) -> None:
    mesh = remote_mesh(Gateway("load-balancer"))
    world, clusters = world_of(mesh)
    clusters["cluster1"].items[GATEWAY_SERVICE] = balanced(ip="192.0.2.7")
    reached(discovery(mesh), world, clock)
    assert clusters["cluster2"].tried[0] == "https://192.0.2.7:15012"
    assert "cluster1/gateway-address" in discovery(mesh).needs
    given = remote_mesh(Gateway("load-balancer"), discovery="192.0.2.9")
    reached(discovery(given), world, clock)
    assert clusters["cluster2"].tried[-1] == "https://192.0.2.9:15017"
    assert "cluster1/gateway-address" not in discovery(given).needs


def test_a_route_comes_before_what_uses_it() -> None:
    mesh = remote_mesh(Gateway("cluster-ip-route", "10.96.0.255", None, "10.0.0.1"))
    assert "cluster2/route/cluster1" in discovery(mesh).needs


def test_the_pod_passes_pod_security_and_ends_by_itself(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2), pull_secret="registry")
    world, clusters = world_of(mesh)
    reached(api(mesh), world, clock)
    (job,) = clusters["cluster1"].jobs
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert job["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    assert job["spec"]["activeDeadlineSeconds"]
    assert "ttlSecondsAfterFinished" in job["spec"]
    assert "cluster1/pull-secret" in api(mesh).needs


def test_an_image_that_cannot_be_pulled_needs_a_person(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].waiting = {"reason": "ImagePullBackOff", "message": "no such \x1b[31mhost"}
    with pytest.raises(NeedsPerson) as caught:
        api(mesh).apply(world, Hands(clock, api(mesh)).job)
    assert "no probe could run in cluster1: image" in caught.value.what
    assert "cannot be pulled" in caught.value.what
    assert "\x1b" not in caught.value.what
    assert "verify.curlImage" in caught.value.remedy
    assert "verify.probes to never" in caught.value.remedy
    assert clusters["cluster1"].probes() == []


def test_a_pod_that_is_not_let_in_needs_a_person_who_hears_why(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    fake = clusters["cluster1"]

    class Quota(FakeCluster):
        def _pod(self, job: Object, index: int) -> None:
            about = {"kind": "Job", "name": job["metadata"]["name"]}
            event = {"metadata": {"name": "e"}, "type": "Warning", "involvedObject": about, "message": "exceeded quota"}
            self.items[Ref(EVENT, "e", "istio-system")] = event

    fake.__class__ = Quota
    with pytest.raises(NeedsPerson, match="exceeded quota"):
        api(mesh).apply(world, Hands(clock, api(mesh)).job)
    fake.refused = NotAllowed("cluster1: not allowed to create jobs")
    with pytest.raises(NeedsPerson, match="not allowed to create jobs"):
        api(mesh).apply(world, Hands(clock, api(mesh)).job)


def test_probes_go_when_it_is_stopped(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    step = api(mesh)
    hands = Hands(clock, step)

    def stop() -> None:
        hands.reason = "stopped by you"

    clusters["cluster1"].says = {"10.0.0.2:6443": TIMEOUT}
    clusters["cluster1"].during = stop
    with pytest.raises(Interrupted):
        step.apply(world, hands.job)
    assert clusters["cluster1"].jobs
    assert clusters["cluster1"].probes() == []


def test_a_probe_that_cannot_be_removed_hides_nothing(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    clusters["cluster1"].says = {"10.0.0.2:6443": TIMEOUT}
    clusters["cluster1"].undeletable = Unreachable("cluster1: silent")
    step = api(mesh)
    hands = Hands(clock, step)
    with pytest.raises(Failed, match="timed out"):
        step.apply(world, hands.job)
    assert any("goes by itself" in event.text for event in hands.events if isinstance(event, StepSaid))


def test_what_a_killed_wizard_left_is_removed_and_nothing_else(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    fake, step = clusters["cluster1"], api(mesh)
    reached(step, world, clock)
    left = fake.jobs[0]
    other = reach.ReachGateways(mesh, mesh.clusters[0])
    for job in (left, {**left, "metadata": {**left["metadata"], "name": "other", "labels": {LABEL: "other"}}}):
        fake.apply(job)
    theirs = {**left, "metadata": {"name": "theirs", "namespace": "istio-system", "labels": left["metadata"]["labels"]}}
    fake.items[Ref(JOB, "theirs", "istio-system")] = theirs
    other.undo(world, Hands(clock, other).job)
    assert Ref(JOB, left["metadata"]["name"], "istio-system") in fake.items
    step.undo(world, Hands(clock, step).job)
    assert {ref.name for ref in fake.probes() if ref.kind is JOB} == {"other", "theirs"}


def test_curl_too_old_to_tell_is_a_failure(clock: Clock) -> None:
    with pytest.raises(Failed, match=r"no answer for https://a:1.*unknown --write-out"):
        answers(["https://a:1"], "", "curl: unknown --write-out variable: 'exitcode'")


def test_reasons_are_told_to_those_they_belong_to() -> None:
    out = (
        "https://10.0.0.1:1 7 0.000000 Failed\nhttps://10.0.0.2:1 7 0.000000 Failed\n"
        "https://lb.example.com:1 7 0.000000 Failed\nhttps://[fd00::1]:1 7 0.000000 Failed"
    )
    err = (
        "* connect to 10.0.0.2 port 1 from 10.244.0.9 port 40000 failed: Connection refused\n"
        "* connect to 10.0.0.1 port 1 failed: No route to host\r\n"
        "* connect to 192.0.2.1 port 1 failed: Connection refused\n* connect to fd00::1 port 1 failed: Host is down"
    )
    urls = [line.split()[0] for line in out.splitlines()]
    found = answers(urls, out, err)
    assert [found[url].told for url in urls] == [
        "No route to host", "Connection refused", "Connection refused", "Host is down",
    ]  # fmt: skip
    assert [found[url].refused for url in urls] == [False, True, True, False]


def test_newer_curls_say_it_otherwise() -> None:
    out = "https://10.0.0.1:1 28 0.000000 SSL connection timeout"
    err = "* Established connection to 10.0.0.1 (10.0.0.1 port 1) from 10.244.0.9 port 40000"
    assert answers(["https://10.0.0.1:1"], out, err)["https://10.0.0.1:1"].connected


def test_an_address_is_waited_for_and_the_ways_out_are_told(clock: Clock) -> None:
    mesh = remote_mesh(Gateway("load-balancer"))
    world, clusters = world_of(mesh)
    step = GatewayAddress(mesh, mesh.cluster("cluster1"))
    assert step.joins == ("cluster1/install",)
    assert isinstance(step.probe(world), Needed)
    clusters["cluster1"].items[GATEWAY_SERVICE] = balanced()
    clusters["cluster1"].items[Ref(EVENT, "e", "istio-system")] = {
        "metadata": {"name": "e"}, "type": "Warning", "message": "no address left in the pool",
        "involvedObject": {"kind": "Service", "name": GATEWAY_SERVICE.name},
    }  # fmt: skip
    hands = Hands(clock, step)
    with pytest.raises(Failed) as caught:
        step.apply(world, hands.job)
    assert "no address left in the pool" in caught.value.what
    assert "external-ips" in caught.value.remedy
    assert "node-port" not in caught.value.remedy, "it cannot serve remotes"
    clusters["cluster1"].items[GATEWAY_SERVICE] = balanced(ip="192.0.2.7")
    step.apply(world, hands.job)
    assert step.probe(world) == Done("192.0.2.7")


def test_ingress_may_be_a_name_or_nothing() -> None:
    assert ingress_of(balanced(hostname="elb.example.com")) == "elb.example.com"
    assert ingress_of(balanced()) is None
    assert ingress_of(None) is None


def test_a_pod_that_ended_is_made_again(clock: Clock) -> None:
    mesh = mesh_of(member(1), member(2))
    world, clusters = world_of(mesh)
    step = api(mesh)
    clusters["cluster1"].exec_trouble = [Failed("cluster1: no command could be run")]
    with curlpod.CurlPods(world, mesh, mesh.clusters[0], step, Hands(clock, step).job) as pods:
        with pytest.raises(Failed, match="no command"):
            pods.ask(["https://10.0.0.2:6443"])
        ((node, found),) = pods.ask(["https://10.0.0.2:6443"])
    assert node == "node1"
    assert found["https://10.0.0.2:6443"].answered
    assert len(clusters["cluster1"].jobs) == 2
    assert clusters["cluster1"].probes() == []
