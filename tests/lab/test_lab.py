"""What tests may rely on: networks that are really different, a reset that forgets everything, honest audit logs."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.lab import audit, versions
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.proc import LabError, wait_for
from tests.lab.shape import Shape

_POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: main, image: "{image}", {extra}}}]
"""
_HELLO = f"{versions.SECOND_HUB}/examples-helloworld-v2:{versions.HELLOWORLD}"
_CURL = f"docker.io/curlimages/curl:{versions.CURL}"


def _pod(cluster: Cluster, name: str, image: str, extra: str = "") -> None:
    cluster.kubectl("apply", "-f", "-", stdin=_POD.format(name=name, image=image, extra=extra))


def _pod_address(cluster: Cluster, name: str) -> str:
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"pod/{name}")
    return cluster.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")


def _as(lab: Lab, kubeconfig: Path, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [str(lab.kubectl), "--kubeconfig", str(kubeconfig), "--context", lab.clusters[0].name, *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_pods_share_a_range_and_meet_only_at_node_addresses(fresh_lab: Lab) -> None:
    one, two = fresh_lab.clusters[:2]
    ranges = {c.kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.podCIDR}") for c in (one, two)}
    assert ranges == {"10.244.0.0/24"}

    _pod(one, "curl", _CURL, "command: [/bin/sleep, infinity]")
    for number in range(3):
        _pod(two, f"hello{number}", _HELLO)
    here = {_pod_address(one, "curl"), *one.kubectl("get", "pods", "-A", "-o", "jsonpath={..podIP}").split()}
    address = next(a for a in (_pod_address(two, f"hello{n}") for n in range(3)) if a not in here)

    def curl(url: str) -> str:
        return one.kubectl("exec", "curl", "--", "curl", "-sS", "-m", "3", url, check=False)

    assert curl(f"http://{address}:5000/hello") == ""
    two.kubectl("expose", "pod", "hello0", "--port", "5000", "--type", "NodePort")
    port = two.kubectl("get", "service", "hello0", "-o", "jsonpath={.spec.ports[0].nodePort}")
    url = f"http://{two.address}:{port}/hello"
    wait_for("the node port of cluster2", lambda: curl(url) == "Hello version: v2, instance: hello0\n", timeout=15)


def test_a_missing_image_fails_at_once(fresh_lab: Lab) -> None:
    cluster = fresh_lab.clusters[0]
    _pod(cluster, "missing", "docker.io/istio/pilot:no-such-tag")

    def reason() -> str:
        path = "jsonpath={.status.containerStatuses[0].state.waiting.reason}"
        return cluster.kubectl("get", "pod", "missing", "-o", path)

    wait_for("the refusal", lambda: reason() in ("ErrImagePull", "ImagePullBackOff"), timeout=15)


def test_reset_restores_every_object_and_the_node(fresh_lab: Lab) -> None:
    cluster = fresh_lab.clusters[0]
    before = cluster.snapshot_objects()
    resolver = cluster.kubectl("get", "configmap", "-n", "kube-system", "coredns", "-o", "yaml")
    _pod(cluster, "curl", _CURL, "command: [/bin/sleep, infinity]")
    _pod_address(cluster, "curl")
    cluster.kubectl("create", "namespace", "istio-system")
    cluster.kubectl("create", "clusterrole", "leftover", "--verb=get", "--resource=pods")
    cluster.kubectl("patch", "configmap", "-n", "kube-system", "coredns", "-p", '{"data":{"Corefile":"broken"}}')
    cluster.kubectl("delete", "clusterrole", "view")
    cluster.machine.run(["ip", "route", "add", "198.51.100.0/24", "via", fresh_lab.clusters[1].address])
    cluster.firewall_close(6443)
    cluster.start_load_balancer()
    around = [["ip", "route"], ["iptables", "-t", "mangle", "-S", "PREROUTING"]]
    assert ["198.51.100.0" in cluster.machine.run(around[0]), "6443" in cluster.machine.run(around[1])] == [True, True]
    changed = cluster.snapshot_objects()
    new = {"/Namespace//istio-system", "/Pod/default/curl", "rbac.authorization.k8s.io/ClusterRole//leftover"}
    assert new <= changed.keys() - before.keys()

    fresh_lab.reset()

    assert cluster.snapshot_objects().keys() == before.keys()
    assert cluster.kubectl("get", "configmap", "-n", "kube-system", "coredns", "-o", "yaml") == resolver
    assert len(cluster.ctr("tasks", "list", "--quiet").split()) == 2, "only DNS and its sandbox run"
    assert _as(fresh_lab, fresh_lab.kubeconfig, "get", "nodes").returncode == 0, "old kubeconfigs stay valid"
    assert ["198.51.100.0" in cluster.machine.run(around[0]), "6443" in cluster.machine.run(around[1])] == [
        False,
        False,
    ]
    assert not cluster.machine.alive("load-balancer")


def test_only_what_was_touched_counts_as_touched(fresh_lab: Lab) -> None:
    assert fresh_lab.is_untouched()
    first = fresh_lab.clusters[0]
    first.kubectl("get", "pods", "-A")
    first.kubectl("create", "namespace", "only-asked", "--dry-run=server")
    assert _as(fresh_lab, fresh_lab.kubeconfig, "auth", "can-i", "create", "pods").returncode == 0
    assert fresh_lab.is_untouched(), "looking changes nothing"
    assert _as(fresh_lab, fresh_lab.kubeconfig_weak, "create", "namespace", "mine").returncode != 0
    assert not fresh_lab.is_untouched()
    fresh_lab.reset()
    assert fresh_lab.is_untouched()
    first.firewall_close(6443)
    assert not fresh_lab.is_untouched()


def test_the_audit_log_tells_who_changed_what(fresh_lab: Lab) -> None:
    cluster = fresh_lab.clusters[0]
    mark = cluster.audit_mark()
    for args in (
        ("get", "pods", "-A"),
        ("auth", "can-i", "create", "pods"),
        ("create", "namespace", "only-asked", "--dry-run=server"),
        ("create", "namespace", "real"),
        ("label", "namespace", "real", "a=b"),
        ("delete", "namespace", "real"),
    ):
        assert _as(fresh_lab, fresh_lab.kubeconfig, *args).returncode == 0
    lines = [audit.describe(entry).rsplit(" by ", 1)[0] for entry in cluster.mutations(mark)]
    expected = ["create namespaces/real 201", "patch namespaces/real 200", "delete namespaces/real 200"]
    assert lines == expected

    mark = cluster.audit_mark()
    refused = _as(fresh_lab, fresh_lab.kubeconfig_weak, "create", "namespace", "mine")
    assert "forbidden" in refused.stderr
    (entry,) = cluster.mutations(mark, user="lab-weak")
    assert entry["responseStatus"]["code"] == 403
    assert cluster.mutations(mark) == []


def test_an_api_server_can_be_stopped_and_started(fresh_lab: Lab) -> None:
    one, two = fresh_lab.clusters[:2]
    one.kubectl("create", "namespace", "kept")
    one.stop_apiserver()
    with pytest.raises(LabError):
        one.kubectl("get", "namespace", "kept")
    assert two.alive(), "the other cluster notices nothing"
    one.start_apiserver()
    assert "kept" in one.kubectl("get", "namespace", "kept")
    assert one.alive()


def test_nothing_outside_answers_and_says_so_at_once(lab: Lab) -> None:
    machine = lab.clusters[0].machine
    start = time.monotonic()
    answer = machine.run(["sh", "-c", "ip route get 192.0.2.1 2>&1 || true"])
    assert "No route to host" in answer
    assert machine.run(["cat", "/etc/resolv.conf"]) == ""
    assert time.monotonic() - start < 5


def test_dry_runs_and_reviews_do_not_count_as_changes() -> None:
    def entry(verb: str, **more: Any) -> dict[str, Any]:
        base: dict[str, Any] = {"user": {"username": "lab-admin"}, "verb": verb, "requestURI": "/", "objectRef": {}}
        return {**base, **more}

    review = {"apiGroup": "authorization.k8s.io", "resource": "selfsubjectaccessreviews"}
    stream = {"resource": "pods", "subresource": "exec"}
    entries = [
        entry("create"),
        entry("list"),
        entry("create", requestURI="/api/v1/namespaces?dryRun=All&fieldManager=x"),
        entry("create", objectRef=review),
        entry("create", objectRef=stream),
        entry("delete", user={"username": "system:apiserver"}),
    ]
    assert list(audit.mutations(entries)) == entries[:1]
    assert json.dumps(entries[0])


def test_an_unreachable_server_is_not_ready(lab: Lab) -> None:
    api = lab.clusters[0].api
    assert api is not None
    assert api.ready()
    with pytest.raises(urllib.error.HTTPError):
        api.get("/api/v1/namespaces/none")


_THREE = Shape(3, networks=(1, 1, 2), services="distinct")


def _curl(cluster: Cluster, url: str) -> str:
    """What a pod of the cluster hears from there; nothing where it hears nothing."""
    return cluster.kubectl("exec", "curl", "--", "curl", "-sSk", "-m", "2", url, check=False)


def _refusal(cluster: Cluster, url: str) -> str:
    """curl's exit code in a pod of the cluster: 7 refused or no route, 28 silence."""
    script = f"curl -sk -m 2 -o /dev/null {url}; echo $?"
    return cluster.kubectl("exec", "curl", "--", "sh", "-c", script).strip()


@pytest.mark.lab_shape(_THREE)
def test_clusters_of_one_network_reach_each_others_pods_as_themselves(fresh_lab: Lab) -> None:
    one, two, three = fresh_lab.clusters
    for cluster in fresh_lab.clusters:
        _pod(cluster, "curl", _CURL, "command: [python3, -u, -m, http.server, '8000']")
    pods = {cluster.name: _pod_address(cluster, "curl") for cluster in fresh_lab.clusters}
    assert [pods[cluster.name].rpartition(".")[0] for cluster in (one, two, three)] == [
        "10.244.1",
        "10.244.2",
        "10.244.0",
    ]

    for here, there in ((one, two), (two, one)):
        ask = partial(_curl, here, f"http://{pods[there.name]}:8000/")
        wait_for("an answer", lambda: ask() != "", timeout=15)  # noqa: B023 - over before the next turn
        heard = {line.split()[0] for line in there.kubectl("logs", "curl").splitlines() if '"GET / ' in line}
        assert heard == {pods[here.name]}, "nothing between hides the source"
    assert _refusal(three, f"http://{pods['cluster1']}:8000/") == "7"
    assert _refusal(one, f"http://{pods['cluster3']}:8000/") == "7"


@pytest.mark.lab_shape(_THREE)
def test_a_route_opens_the_service_addresses_of_another_cluster(fresh_lab: Lab) -> None:
    first, second = fresh_lab.clusters[0], fresh_lab.clusters[2]
    assert [cluster.spec.service_cidr for cluster in (first, second)] == ["10.96.0.0/16", "10.98.0.0/16"]
    _pod(first, "hello", _HELLO)
    first.kubectl("expose", "pod", "hello", "--port", "5000")
    _pod(second, "curl", _CURL, "command: [/bin/sleep, infinity]")
    _pod_address(first, "hello")
    _pod_address(second, "curl")
    url = f"http://{first.kubectl('get', 'service', 'hello', '-o', 'jsonpath={.spec.clusterIP}')}:5000/hello"
    hello = "Hello version: v2, instance: hello\n"
    assert _refusal(second, url) == "7"

    route = [first.spec.service_cidr, "via", first.address]
    second.machine.run(["ip", "route", "add", *route])
    wait_for("the route", lambda: _curl(second, url) == hello, timeout=15)
    assert second.machine.run(["curl", "-sS", "-m", "3", url]) == hello, "and from the node"
    second.machine.run(["ip", "route", "delete", *route])
    assert _refusal(second, url) == "7"


def test_a_closed_firewall_keeps_other_clusters_out_and_not_this_machine(fresh_lab: Lab) -> None:
    one, two = fresh_lab.clusters
    for cluster in (one, two):
        _pod(cluster, "curl", _CURL, "command: [/bin/sleep, infinity]")
    _pod(one, "hello", _HELLO)
    one.kubectl("expose", "pod", "hello", "--port", "15443", "--target-port", "5000", "--external-ip", one.address)
    _pod_address(one, "hello")
    _pod_address(two, "curl")
    api, external = f"{one.spec.server}/version", f"http://{one.address}:15443/hello"
    wait_for("the external IP", lambda: "v2" in _curl(two, external), timeout=15)
    assert _refusal(two, api) == "0"

    for port, closed, other in ((6443, api, external), (15443, external, api)):
        one.firewall_close(port)
        assert _refusal(two, closed) == "28"
        assert _refusal(two, other) == "0"
        one.firewall_open()
        one.firewall_close(port, two, reject=True)
        assert _refusal(two, closed) == "7"
        assert _refusal(one, closed) == "0", "a cluster reaches itself"
        assert one.alive(), "this machine reaches the API server"
        one.firewall_open()
        assert _refusal(two, closed) == "0"


def test_a_load_balancer_gives_addresses_and_names_late_if_asked_and_takes_them_back(fresh_lab: Lab) -> None:
    one, two = fresh_lab.clusters
    _pod(one, "hello", _HELLO)
    _pod(two, "curl", _CURL, "command: [/bin/sleep, infinity]")

    def expose(name: str, port: int) -> None:
        one.kubectl(
            "expose", "pod", "hello", f"--name={name}", f"--port={port}", "--target-port=5000", "--type=LoadBalancer"
        )

    def given(name: str) -> str:
        return one.kubectl("get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[0]['ip','hostname']}")

    expose("plain", 15443)
    _pod_address(one, "hello")
    _pod_address(two, "curl")
    assert given("plain") == "", "none is given where none was started"

    one.start_load_balancer()
    wait_for(
        "an address",
        lambda: given("plain") == one.spec.balanced_addresses[0],
        timeout=15,
    )
    first = f"http://{given('plain')}:15443/hello"
    wait_for("its traffic", lambda: "v2" in _curl(two, first), timeout=15)
    one.firewall_close(15443)
    assert _refusal(two, first) == "28"
    one.firewall_open()

    one.start_load_balancer(delay=3, hostname=True)
    began = time.monotonic()
    expose("named", 5000)
    wait_for("a name", lambda: given("named") != "", timeout=15)
    assert time.monotonic() - began >= 3
    assert given("named").endswith(".lb.lab")
    wait_for("its traffic", lambda: "v2" in _curl(two, f"http://{given('named')}:5000/hello"), timeout=15)
    assert "v2" in _curl(two, first), "what was given stays"
    assert one.mutations() == [], "none of this counts as the test's"

    one.kubectl("delete", "service", "plain")
    # Two take back: kube-proxy its rules, at once, and the load balancer the node's address, when it looks next.
    wait_for("its traffic to end", lambda: _refusal(two, first) != "0", timeout=15)
    taken = f"{one.spec.balanced_addresses[0]}/32"
    wait_for(
        "the address to be taken back",
        lambda: taken not in one.machine.run(["ip", "address", "show", "dev", "eth0"]),
        timeout=15,
    )
