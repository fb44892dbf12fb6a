"""Ways to break a mesh that stands, as people and their tools do it; each is a context that mends it again."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from wizard.certificates import authority

Object = dict[str, Any]
SYSTEM, SAMPLE = "istio-system", "sample"
GATEWAY = "istio-eastwestgateway"


def found(cluster: Cluster, kind: str, name: str, namespace: str = "") -> Object:
    """The object, without what belongs to the API server."""
    where = ("-n", namespace) if namespace else ()
    live: Object = json.loads(cluster.kubectl("get", kind, name, *where, "-o", "json"))
    for field in ("resourceVersion", "uid", "creationTimestamp", "managedFields", "generation"):
        live["metadata"].pop(field, None)
    live.pop("status", None)
    return live


@contextmanager
def edited(
    cluster: Cluster, kind: str, name: str, change: Callable[[Object], Any], namespace: str = SYSTEM
) -> Iterator[None]:
    """The object changed in place."""
    before = found(cluster, kind, name, namespace)
    now = copy.deepcopy(before)
    change(now)
    cluster.kubectl("replace", "-f", "-", stdin=json.dumps(now))
    try:
        yield
    finally:
        cluster.kubectl("replace", "-f", "-", stdin=json.dumps(before))


@contextmanager
def deleted(cluster: Cluster, kind: str, name: str, namespace: str = SYSTEM) -> Iterator[None]:
    before = found(cluster, kind, name, namespace)
    where = ("-n", namespace) if namespace else ()
    cluster.kubectl("delete", kind, name, *where)
    try:
        yield
    finally:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(before))


@contextmanager
def added(cluster: Cluster, manifest: Object) -> Iterator[None]:
    text = json.dumps(manifest)
    cluster.kubectl("create", "-f", "-", stdin=text)
    try:
        yield
    finally:
        cluster.kubectl("delete", "--wait", "-f", "-", stdin=text)


@contextmanager
def scaled(cluster: Cluster, name: str, namespace: str = SYSTEM) -> Iterator[None]:
    """No Pod of the Deployment is left, and no autoscaler brings one back."""
    cluster.kubectl("-n", namespace, "scale", "deployment", name, "--replicas=0")
    cluster.kubectl("-n", namespace, "wait", f"deployment/{name}", "--for=jsonpath={.spec.replicas}=0")
    selector = found(cluster, "deployment", name, namespace)["spec"]["selector"]["matchLabels"]
    labels = ",".join(f"{key}={value}" for key, value in selector.items())
    cluster.kubectl("-n", namespace, "wait", "pod", "-l", labels, "--for=delete", "--timeout=90s", check=False)
    try:
        yield
    finally:
        cluster.kubectl("-n", namespace, "scale", "deployment", name, "--replicas=1")
        settled(cluster, name, namespace)


def settled(cluster: Cluster, name: str, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=120s", timeout=150)


def restarted(cluster: Cluster, *names: tuple[str, str]) -> None:
    for namespace, name in names:
        cluster.kubectl("-n", namespace, "rollout", "restart", f"deployment/{name}")
    for namespace, name in names:
        settled(cluster, name, namespace)


@contextmanager
def closed(cluster: Cluster, source: Cluster, port: int, *, reject: bool) -> Iterator[None]:
    cluster.firewall_close(port, source, reject=reject)
    try:
        yield
    finally:
        cluster.firewall_open()


@contextmanager
def api_away(cluster: Cluster) -> Iterator[None]:
    cluster.stop_apiserver()
    try:
        yield
    finally:
        cluster.start_apiserver()


def policy(api: str, kind: str, spec: Object, name: str = "theirs", namespace: str = SAMPLE) -> Object:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def set_label(key: str, value: str | None, what: str = "labels") -> Callable[[Object], None]:
    def change(live: Object) -> None:
        labels = live["metadata"].setdefault(what, {})
        if value is None:
            labels.pop(key, None)
        else:
            labels[key] = value

    return change


def mesh_networks(change: Callable[[Object], None]) -> Callable[[Object], None]:
    """A change of what ConfigMap istio says of networks."""

    def edit(live: Object) -> None:
        networks = yaml.safe_load(live["data"]["meshNetworks"])
        change(networks["networks"])
        live["data"]["meshNetworks"] = yaml.safe_dump(networks)

    return edit


def mesh_config(change: Callable[[Object], None]) -> Callable[[Object], None]:
    def edit(live: Object) -> None:
        config = yaml.safe_load(live["data"]["mesh"])
        change(config)
        live["data"]["mesh"] = yaml.safe_dump(config)

    return edit


def kubeconfig(name: str, change: Callable[[Object], None]) -> Callable[[Object], None]:
    """A change of the kubeconfig in a remote secret."""

    def edit(live: Object) -> None:
        content = yaml.safe_load(base64.b64decode(live["data"][name]))
        change(content)
        live["data"][name] = base64.b64encode(yaml.safe_dump(content).encode()).decode()

    return edit


def renamed_key(old: str, new: str) -> Callable[[Object], None]:
    def edit(live: Object) -> None:
        live["data"] = {new: live["data"][old]}

    return edit


def without(resource: str) -> Callable[[Object], None]:
    """A role without this resource."""

    def edit(live: Object) -> None:
        for rule in live["rules"]:
            rule["resources"] = [each for each in rule.get("resources") or [] if each != resource]
        live["rules"] = [rule for rule in live["rules"] if rule.get("resources") or rule.get("nonResourceURLs")]

    return edit


@contextmanager
def anew(cluster: Cluster, secret: str, change: Callable[[Object], None] = lambda live: None) -> Iterator[None]:
    """A secret deleted and made anew with this change, as istiod takes it up; and so it is mended."""
    before = found(cluster, "secret", secret, SYSTEM)
    now = copy.deepcopy(before)
    change(now)
    for manifest in (now, None, before):
        if manifest is None:
            yield
            continue
        cluster.kubectl("-n", SYSTEM, "delete", "secret", secret, "--ignore-not-found")
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))


@contextmanager
def uninjected(cluster: Cluster, namespace: str, deployment: str) -> Iterator[None]:
    """Pods without a sidecar, since somebody switched the injection of their namespace off."""
    with edited(cluster, "namespace", namespace, set_label("istio-injection", "disabled"), ""):
        restarted(cluster, (namespace, deployment))
        yield
    restarted(cluster, (namespace, deployment))


ALL = ((SYSTEM, "istiod"), (SYSTEM, GATEWAY))


@contextmanager
def other_root(cluster: Cluster, version: str, *, restart: bool) -> Iterator[None]:
    """Certificates of another root; `restart`: and everything took them up."""
    files = authority.make_intermediate(authority.make_root("another"), cluster.name, "cluster.local")
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    workloads = ((SAMPLE, f"helloworld-{version}"), (SAMPLE, "curl"))
    with edited(cluster, "secret", "cacerts", lambda live: live["data"].update(data)):
        if restart:
            for each in (*ALL, *workloads):
                restarted(cluster, each)
        yield
    if restart:
        for each in (*ALL, *workloads):
            restarted(cluster, each)


@contextmanager
def other_trust_domain(cluster: Cluster, version: str) -> Iterator[None]:
    with edited(cluster, "configmap", "istio", mesh_config(lambda config: config.update(trustDomain="other.local"))):
        for each in (*ALL, (SAMPLE, f"helloworld-{version}"), (SAMPLE, "curl")):
            restarted(cluster, each)
        yield
    for each in (*ALL, (SAMPLE, f"helloworld-{version}"), (SAMPLE, "curl")):
        restarted(cluster, each)


@contextmanager
def regions(lab: Lab, manifest: Object) -> Iterator[None]:
    """Each node in a region of its own, and outlier detection on, which together keep traffic at home."""
    for index, cluster in enumerate(lab.clusters, 1):
        cluster.kubectl("label", "node", "--all", f"topology.kubernetes.io/region=region{index}", "--overwrite")

    def anew() -> None:
        for index, cluster in enumerate(lab.clusters, 1):
            restarted(cluster, (SAMPLE, f"helloworld-v{index}"), (SAMPLE, "curl"))

    try:
        anew()
        with added(lab.clusters[0], manifest):
            yield
    finally:
        for cluster in lab.clusters:
            cluster.kubectl("label", "node", "--all", "topology.kubernetes.io/region-")
        anew()


@contextmanager
def revoked(cluster: Cluster) -> Iterator[None]:
    """The reader's token is gone. It is mended by our own `resume`, since the one that comes is another."""
    name = "istio-reader-service-account-istio-remote-secret-token"
    cluster.kubectl("-n", SYSTEM, "delete", "secret", name)
    yield


def doubled(cluster: Cluster, secret: str) -> Object:
    """A second secret that registers the same cluster."""
    live = found(cluster, "secret", secret, SYSTEM)
    live["metadata"] = {**live["metadata"], "name": "again"}
    live["metadata"].pop("annotations", None)
    return live


def other_node_port(live: Object) -> None:
    port = next(each for each in live["spec"]["ports"] if each["port"] == 15443)
    port["nodePort"] = 31999
