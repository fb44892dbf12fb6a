"""What tests may rely on: networks that are really different, a reset that forgets everything, honest audit logs."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.lab import audit, versions
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.proc import LabError, wait_for

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
    changed = cluster.snapshot_objects()
    new = {"/Namespace//istio-system", "/Pod/default/curl", "rbac.authorization.k8s.io/ClusterRole//leftover"}
    assert new <= changed.keys() - before.keys()

    fresh_lab.reset()

    assert cluster.snapshot_objects().keys() == before.keys()
    assert cluster.kubectl("get", "configmap", "-n", "kube-system", "coredns", "-o", "yaml") == resolver
    assert len(cluster.ctr("tasks", "list", "--quiet").split()) == 2, "only DNS and its sandbox run"
    assert _as(fresh_lab, fresh_lab.kubeconfig, "get", "nodes").returncode == 0, "old kubeconfigs stay valid"


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
