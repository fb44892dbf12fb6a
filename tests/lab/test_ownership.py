"""Beside other Istios on real clusters: what is theirs is a conflict or is given back, and object lists are as before.

The others' objects are what Istio's own istioctl renders, applied as Helm would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import audit
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.proc import run
from tests.lab.wizard import Wizard, assert_as_before, assert_untouched, assert_verified
from wizard.clusters.real import RealCluster
from wizard.objects.removal import READER_TOKEN

SYSTEM, OTHER, REVISION = "istio-system", "mesh-a", "other"
READER = ("serviceaccount/istio-reader-service-account", "clusterrole/istio-reader-clusterrole-istio-system",
          "clusterrolebinding/istio-reader-clusterrole-istio-system")  # fmt: skip
RELEASE = {"meta.helm.sh/release-name": "istio-base", "meta.helm.sh/release-namespace": SYSTEM}
Object = dict[str, Any]


def rendered(lab: Lab, namespace: str, **spec: str) -> list[Object]:
    """Istio as another team installs it into a namespace: small, and for namespaces with a label of its own only."""
    resources = {"requests": {"cpu": "10m", "memory": "128Mi"}}
    operator = {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"namespace": namespace},
        "spec": {
            **spec,
            "profile": "minimal",
            "meshConfig": {"discoverySelectors": [{"matchLabels": {"mesh": namespace}}]},
            "components": {"pilot": {"k8s": {"resources": resources}}},
            "values": {"global": {"istioNamespace": namespace, "imagePullPolicy": "IfNotPresent"}},
        },
    }
    argv = [lab.istioctl, "manifest", "generate", "-f", lab.overlay, "-f", "-"]
    return [item for item in yaml.safe_load_all(run(argv, stdin=yaml.safe_dump(operator))) if item]


def apply(cluster: Cluster, *manifests: Object) -> None:
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-")
    cluster.kubectl(*words, stdin=yaml.safe_dump_all(manifests))


def named(manifests: list[Object], kind: str, name: str) -> Object:
    (found,) = [item for item in manifests if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"mesh": name}}}


def drawn(cluster: Cluster, *addresses: str) -> list[Object]:
    """These objects of istio-system or of none, without what every write changes."""
    told = []
    for address in addresses:
        live = json.loads(cluster.kubectl("-n", SYSTEM, "get", address, "-o", "json"))
        for key in ("resourceVersion", "generation", "managedFields"):
            live["metadata"].pop(key, None)
        # The API server notes on which day a token was used last.
        labels = live["metadata"].setdefault("labels", {})
        labels.pop("kubernetes.io/legacy-token-last-used", None)
        told.append(live)
    return told


def helm_reader(lab: Lab, cluster: Cluster) -> None:
    """What Helm's charts make for those who read this cluster, and the token that somebody made for it."""
    manifests = rendered(lab, SYSTEM)
    mine = []
    for address in READER:
        kind, _, name = address.partition("/")
        (item,) = [each for each in manifests if (each["kind"].lower(), each["metadata"]["name"]) == (kind, name)]
        item["metadata"]["annotations"] = RELEASE
        item["metadata"]["labels"] = {"app": "istio-reader", "app.kubernetes.io/managed-by": "Helm"}
        mine.append(item)
    mine[1]["rules"] = mine[1]["rules"][:-1]  # as of another version
    token = {
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": READER_TOKEN.name, "namespace": SYSTEM,
                     "annotations": {"kubernetes.io/service-account.name": "istio-reader-service-account"}},
    }  # fmt: skip
    apply(cluster, namespace(SYSTEM), *mine, token)


def second_istiod(lab: Lab, cluster: Cluster) -> None:
    """An istiod with everything that belongs to it, its definitions too, in a namespace of its own."""
    manifests = rendered(lab, OTHER, revision=REVISION)  # without one it would inject into every namespace
    definitions = [item for item in manifests if item["kind"] == "CustomResourceDefinition"]
    rest = [item for item in manifests if item["kind"] != "CustomResourceDefinition"]
    apply(cluster, namespace(OTHER), *definitions)
    cluster.kubectl("wait", "--for=condition=Established", "crd", "gateways.networking.istio.io", "--timeout=60s")
    apply(cluster, *rest)
    cluster.kubectl("-n", OTHER, "rollout", "status", f"deployment/istiod-{REVISION}", "--timeout=180s", timeout=200)


@pytest.fixture
def first(fresh_lab: Lab) -> Iterator[Cluster]:
    yield fresh_lab.cluster("cluster1")


@pytest.mark.inputs("1")
@pytest.mark.proves("The webhook of another istiod that has the name of ours is a conflict, and stays as it is")
def test_a_webhook_that_collides(fresh_lab: Lab, first: Cluster, tmp_path: Path) -> None:
    hook = named(rendered(fresh_lab, OTHER), "MutatingWebhookConfiguration", f"istio-sidecar-injector-{OTHER}")
    hook["metadata"] |= {"name": "istio-sidecar-injector", "annotations": RELEASE}
    service = named(rendered(fresh_lab, OTHER), "Service", "istiod")  # one that is gone would be told before
    apply(first, namespace(OTHER), service, hook)
    before = [cluster.snapshot_objects() for cluster in fresh_lab.clusters]
    then = drawn(first, "mutatingwebhookconfiguration/istio-sidecar-injector")
    wizard = Wizard(fresh_lab, tmp_path)
    planned = wizard.run("plan", "-f", str(wizard.meshfile))
    assert planned.code == 3, planned.text
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert "MutatingWebhookConfiguration istio-sidecar-injector is there already" in ran.text
    assert "Helm release istio-base" in ran.text
    assert f"Service istiod in {OTHER}" in ran.text
    undone = wizard.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert drawn(first, "mutatingwebhookconfiguration/istio-sidecar-injector") == then
    assert_as_before(fresh_lab, before)


@pytest.mark.inputs("1", "2")
@pytest.mark.proves(
    "Beside a reader account of Helm's and an istiod in another namespace: verified, and all as before afterwards"
)
def test_beside_helm_and_a_second_istiod(fresh_lab: Lab, first: Cluster, tmp_path: Path) -> None:
    helm_reader(fresh_lab, first)
    second_istiod(fresh_lab, first)
    secret = f"secret/{READER_TOKEN.name}"
    then = drawn(first, *READER, secret)
    webhook = f"mutatingwebhookconfiguration/istio-sidecar-injector-{REVISION}-{OTHER}"
    theirs = drawn(first, webhook)
    before = [cluster.snapshot_objects() for cluster in fresh_lab.clusters]
    wizard = Wizard(fresh_lab, tmp_path)
    ran = wizard.apply()
    assert ran.code == 0, ran.text
    assert_verified(wizard)
    owner = "install.operator.istio.io/owning-resource"
    assert all(live["metadata"]["labels"].get(owner) == "meshwizard" for live in drawn(first, *READER))
    marks = [cluster.audit_mark() for cluster in fresh_lab.clusters]
    again = wizard.apply()
    assert again.code == 0, again.text
    assert_untouched(fresh_lab, marks)
    undone = wizard.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert drawn(first, *READER, secret) == then
    assert drawn(first, webhook) == theirs
    # Both istiods write their root into namespaces that ours read as well; the other's stays to look after those.
    rest = [{key: uid for key, uid in each.items() if "/istio-ca-" not in key} for each in before]
    for cluster, was in zip(fresh_lab.clusters, rest, strict=True):
        now = {key: uid for key, uid in cluster.snapshot_objects().items() if "/istio-ca-" not in key}
        assert now == was, f"{cluster.name}: {sorted(set(now.items()) ^ set(was.items()))}"


@pytest.mark.inputs("22")
@pytest.mark.proves(
    "A remote secret with a name of this mesh is a conflict before anything is changed; one of a gone cluster is told"
)
def test_remote_secrets_of_others(fresh_lab: Lab, first: Cluster, tmp_path: Path) -> None:
    server = fresh_lab.cluster("cluster2").spec.server.replace("6443", "6442")
    kubeconfig = yaml.safe_dump({"clusters": [{"cluster": {"server": server}}], "users": [{"user": {"token": "x"}}]})
    metadata = {"namespace": SYSTEM, "labels": {"istio/multiCluster": "true"}}
    head = {"apiVersion": "v1", "kind": "Secret"}
    gone = {**head, "metadata": {**metadata, "name": "istio-remote-secret-gone"}, "stringData": {"gone": kubeconfig}}
    ours = {**head, "metadata": {**metadata, "name": "by-hand"}, "stringData": {"cluster2": kubeconfig}}
    apply(first, namespace(SYSTEM), gone, ours)
    wizard = Wizard(fresh_lab, tmp_path)
    mark = first.audit_mark()
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert f"Secret by-hand in {SYSTEM} (written by helm) registers cluster cluster2 at {server}" in ran.text
    assert [audit.describe(entry) for entry in first.work(mark)] == []
    first.kubectl("-n", SYSTEM, "delete", "secret", "by-hand")
    told = wizard.run("check", "-f", str(wizard.meshfile))
    assert "istio-remote-secret-gone" in told.text
    mended = wizard.apply()
    assert mended.code == 0, mended.text
    undone = wizard.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert "istio-remote-secret-gone" in first.kubectl("-n", SYSTEM, "get", "secrets", "-o", "name")


@pytest.mark.inputs("5")
def test_kinds_are_found_by_discovery(fresh_lab: Lab, first: Cluster) -> None:
    """Whatever version of each kind this API server serves: nothing that kubectl sees is missed."""
    from wizard.clusters.kinds import AUTOSCALER, DISRUPTION_BUDGET, ENDPOINT_SLICE, Kind

    door = RealCluster("cluster1", fresh_lab.kubeconfig, "cluster1")
    try:
        for kind in (AUTOSCALER, DISRUPTION_BUDGET, ENDPOINT_SLICE):
            asked = Kind(f"{kind.group}/v1alpha99", kind.kind, kind.plural)
            seen = {item["metadata"]["name"] for item in door.objects(asked)}
            told = first.kubectl("get", kind.resource, "-A", "-o", "jsonpath={.items[*].metadata.name}")
            assert seen == set(told.split())
    finally:
        door.close()
