"""What real clusters refuse: told early and in their own words, and once it is mended the same command comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.wizard import Wizard, assert_verified

pytestmark = pytest.mark.lab
SYSTEM = "istio-system"


def unprobed(document: dict[str, Any]) -> None:
    document["verify"] = {"probes": "never"}


def overlaid(folder: Path, spec: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """One more overlay, and no probes."""
    file = folder / "more.yaml"
    file.write_text(yaml.safe_dump({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}))

    def change(document: dict[str, Any]) -> None:
        unprobed(document)
        document["istio"]["overlays"].append(str(file))

    return change


def make(cluster: Cluster, manifest: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


@pytest.mark.proves("A quota that lets no Pod in is told in the API server's own words, at once")
def test_a_quota_that_lets_no_pod_in(fresh_lab: Lab, tmp_path: Path) -> None:
    first = fresh_lab.cluster("cluster1")
    first.kubectl("create", "namespace", SYSTEM)
    first.kubectl("-n", SYSTEM, "create", "quota", "compute", "--hard=limits.cpu=4,limits.memory=8Gi")
    wizard = Wizard(fresh_lab, tmp_path)
    probed = wizard.apply()
    assert probed.code in (1, 3), probed.text
    assert "failed quota: compute: must specify limits.cpu for: curl" in probed.text
    document = yaml.safe_load(wizard.meshfile.read_text())
    unprobed(document)
    wizard.meshfile.write_text(yaml.safe_dump(document))
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert "no Pod of Deployment istiod can be made" in ran.text
    assert "is forbidden: failed quota: compute: must specify limits.cpu for: discovery" in ran.text
    first.kubectl("-n", SYSTEM, "delete", "quota", "compute")
    mended = wizard.apply()
    assert mended.code == 0, mended.text
    assert_verified(wizard)


@pytest.mark.proves("Of a container that dies again and again the last words are told")
def test_the_last_words_of_a_proxy_that_dies(fresh_lab: Lab, tmp_path: Path) -> None:
    bad = overlaid(tmp_path, {"values": {"global": {"proxy": {"logLevel": "nonsense"}}}})
    ran = Wizard(fresh_lab, tmp_path / "home", changes=bad).apply()
    assert ran.code == 1, ran.text
    assert "container istio-proxy of pod " in ran.text
    assert "dies again and again" in ran.text
    assert "its last words: " in ran.text
    assert "nonsense" in ran.text.partition("its last words: ")[2]
    assert "logs --previous" in ran.text


@pytest.mark.proves("A namespace that is going is never taken for one that stands; what keeps it is told")
def test_a_namespace_that_cannot_go(fresh_lab: Lab, tmp_path: Path) -> None:
    first = fresh_lab.cluster("cluster1")
    spec = {
        "group": "nobody.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "insecureSkipTLSVerify": True, "service": {"name": "nobody", "namespace": "default"},
    }  # fmt: skip
    name = "v1.nobody.example"
    first.kubectl("create", "namespace", SYSTEM)
    make(
        first,
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec},
    )
    first.kubectl("wait", "--for=condition=Available=false", f"apiservice/{name}", "--timeout=60s")
    first.kubectl("delete", "namespace", SYSTEM, "--wait=false")
    first.kubectl(
        "wait", "--for=condition=NamespaceDeletionDiscoveryFailure=true", f"namespace/{SYSTEM}", "--timeout=90s"
    )
    wizard = Wizard(fresh_lab, tmp_path)
    mark = first.audit_mark()
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert f"namespace {SYSTEM} is being deleted (Terminating): NamespaceDeletionDiscoveryFailure: " in ran.text
    assert "nobody.example" in ran.text
    assert "get apiservices" in ran.text
    assert first.work(mark) == []
    first.kubectl("delete", "apiservice", name)
    first.kubectl("wait", "--for=delete", f"namespace/{SYSTEM}", "--timeout=120s", timeout=130)
    mended = wizard.apply()
    assert mended.code == 0, mended.text
    assert_verified(wizard)


def test_a_namespace_that_goes_after_all_is_waited_for(fresh_lab: Lab, tmp_path: Path) -> None:
    first = fresh_lab.cluster("cluster1")
    first.kubectl("create", "namespace", SYSTEM)
    metadata = {"name": "held", "namespace": SYSTEM, "finalizers": ["nobody.example/hold"]}
    make(first, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    first.kubectl("delete", "namespace", SYSTEM, "--wait=false")
    wizard = Wizard(fresh_lab, tmp_path)
    run = wizard.start("apply", "-f", str(wizard.meshfile), "--json")
    run.until(
        lambda event: (
            event.get("event") == "stepwaits"
            and event.get("step") == "cluster1/namespace"
            and "finalizers remaining" in event.get("seen", "")
        )
    )
    first.kubectl("-n", SYSTEM, "patch", "configmap", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    ended = run.end()
    assert ended.code == 0, ended.text
    assert_verified(wizard)


@pytest.mark.proves(
    "A webhook whose Service is gone is named with the command that deletes it, before anything is touched"
)
def test_a_webhook_whose_service_is_gone(fresh_lab: Lab, tmp_path: Path) -> None:
    first = fresh_lab.cluster("cluster1")
    named = [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": [SYSTEM]}]
    rule = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
    hook = {
        "name": "policy.gone.example", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "gone", "namespace": "default", "path": "/check"}},
        "namespaceSelector": {"matchExpressions": named}, "rules": [rule],
    }  # fmt: skip
    kind = "ValidatingWebhookConfiguration"
    make(
        first,
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "gone"},
            "webhooks": [hook],
        },
    )
    wizard = Wizard(fresh_lab, tmp_path)
    mark = first.audit_mark()
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert f"{kind} gone: policy.gone.example calls Service gone in default, which is gone" in ran.text
    assert f"--context=cluster1 delete {kind.lower()} gone" in ran.text
    assert first.work(mark) == []
    first.kubectl("delete", kind.lower(), "gone")
    mended = wizard.apply()
    assert mended.code == 0, mended.text
    assert_verified(wizard)


@pytest.mark.proves("Policies that limit what leaves a probe are named where its connections time out")
def test_policies_are_named_where_a_probe_times_out(fresh_lab: Lab, tmp_path: Path) -> None:
    """The lab's network holds to no policies: a firewall closes the path, and the policy is named all the same."""
    first, second = fresh_lab.clusters
    first.firewall_close(6443)
    second.kubectl("create", "namespace", SYSTEM)
    spec = {"podSelector": {}, "policyTypes": ["Egress"]}
    metadata = {"name": "nothing-leaves", "namespace": SYSTEM}
    make(
        second,
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec},
    )
    wizard = Wizard(fresh_lab, tmp_path)
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert "cluster2 cannot reach the API server of cluster1" in ran.text
    assert f"NetworkPolicy nothing-leaves in {SYSTEM}" in ran.text
