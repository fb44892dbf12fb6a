"""A stand-in for istioctl: it acts on an API server as the real one does, in a fraction of its time, and breaks where it is told.

It renders with the simulation's charts, applies with force as `istio-operator`, waits for Deployments, and makes reader's tokens.
Of what Istio's charts hold it makes what the wizard looks at. The CRDs stand in the clusters' baseline already: making them
costs an API server more than all the rest.
`FAULTS_ISTIOCTL` names a JSON file: `{"at": N, "do": "fail" | "hang" | "flood" | "die"}` breaks the N-th change of an install.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import sys
import time
from pathlib import Path

import yaml

from tests.faults.client import Client, Object
from wizard import yamltext
from wizard.clusters.kinds import (
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE_ACCOUNT,
    Ref,
)
from wizard.simulated import charts
from wizard.simulated import operator as operators

VERSION = "1.29.1"
SYSTEM = "istio-system"
READER = "istio-reader-service-account"
_MADE = frozenset(
    {"ServiceAccount", "ConfigMap", "Deployment", "Service", "EndpointSlice", "MutatingWebhookConfiguration"}
)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Changes:
    """Applies objects, and breaks where it was told to."""

    def __init__(self, client: Client) -> None:
        self.client = client
        plan = os.environ.get("FAULTS_ISTIOCTL", "")
        self._plan = json.loads(Path(plan).read_text()) if plan and Path(plan).exists() else {}
        self._count = 0

    def apply(self, manifest: Object, manager: str = "istio-operator") -> None:
        self._next()
        self.client.apply(manifest, manager)

    def switch_off(self, injector: str) -> None:
        """Before the default tag is made."""
        self._next()
        ref = Ref(MUTATING_WEBHOOK, injector)
        live = self.client.get(ref) or {}
        self.client.merge(ref, {"webhooks": charts.switched_off(live.get("webhooks") or [])}, "istioctl")

    def _next(self) -> None:
        self._count += 1
        if self._plan and self._count == self._plan["at"]:
            _break(self._plan["do"])


def _break(how: str) -> None:
    match how:
        case "fail":
            _say("✘ Istiod encountered an error: it was told to fail")
            sys.exit("Error: failed to install manifests: errors occurred during operation: it was told to fail")
        case "hang":
            time.sleep(3600)
        case "flood":
            for _ in range(2000):
                sys.stderr.write("x" * 10_000 + "\n")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)


def _say(text: str) -> None:
    sys.stderr.write(f"\n{text}")
    sys.stderr.flush()


def _client(kubeconfig: str, context: str) -> Client:
    config = yaml.load(Path(kubeconfig).read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader

    def named(section: str, name: str) -> Object:
        found: Object = next(each for each in config[f"{section}s"] if each["name"] == name)[section]
        return found

    chosen = named("context", context)
    cluster = named("cluster", chosen["cluster"])
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return Client(cluster["server"], authority, named("user", chosen["user"])["token"], "istioctl")


def install(client: Client, files: list[str]) -> None:
    """Make what the IstioOperator asks for and wait until it is ready."""
    text = sys.stdin.read()
    wanted = operators.read(text, [Path(each) for each in files if each != "-"], VERSION)
    changes = _Changes(client)
    if client.get(Ref(NAMESPACE, SYSTEM)) is None:
        changes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    for component, manifests in charts.rendered(wanted).items():
        _say(f"- Processing resources for {component}.")
        made = [each for each in manifests if each["kind"] in _MADE]
        for manifest in made:
            changes.apply(_owned(manifest, wanted, component))
        for name in [each["metadata"]["name"] for each in made if each["kind"] == "Deployment"]:
            _wait(client, name)
        _say(f"✔ {component} installed")
    if operators.revision(wanted) == "default":
        changes.switch_off("istio-sidecar-injector")
    for manifest in charts.default_webhooks(wanted):
        if manifest["kind"] in _MADE:
            changes.apply(_owned(manifest, wanted, ""))
    _say("✔ Installation complete\n")


def generate(files: list[str]) -> None:
    """Print what an install would apply."""
    wanted = operators.read(sys.stdin.read(), [Path(each) for each in files if each != "-"], VERSION)
    made = [each for manifests in charts.rendered(wanted).values() for each in manifests if each["kind"] in _MADE]
    print(yamltext.dump(*made))


def _owned(manifest: Object, wanted: Object, component: str) -> Object:
    labels = {
        **manifest["metadata"].get("labels", {}),
        "operator.istio.io/managed": "Reconcile",
        "operator.istio.io/version": VERSION,
        "install.operator.istio.io/owning-resource": str(operators.at(wanted, "metadata.name", "unknown")),
        "install.operator.istio.io/owning-resource-namespace": SYSTEM,
        **({"operator.istio.io/component": component} if component else {}),
    }
    made = {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}
    if made["kind"] == "MutatingWebhookConfiguration":
        # As istioctl does it: what istiod wrote into the webhook is not taken back.
        for hook in made["webhooks"]:
            hook["clientConfig"].pop("caBundle", None)
    return made


def _wait(client: Client, name: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = client.get(Ref(DEPLOYMENT, name, SYSTEM)) or {}
        status = found.get("status") or {}
        current = status.get("observedGeneration") == (found.get("metadata") or {}).get("generation")
        if current and status.get("availableReplicas"):
            return
        time.sleep(0.01)
    sys.exit(f"Error: Deployment/{SYSTEM}/{name} is not ready")


def remote_secret(client: Client, name: str, server: str) -> None:
    """Print the Secret that lets an istiod elsewhere read this cluster."""
    changes = _Changes(client)
    if client.get(Ref(NAMESPACE, SYSTEM)) is None:
        changes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    place = {"namespace": SYSTEM}
    if client.get(Ref(SERVICE_ACCOUNT, READER, SYSTEM)) is None:
        changes.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER, **place}})
    ref = Ref(SECRET, f"{READER}-istio-remote-secret-token", SYSTEM)
    if client.get(ref) is None:
        account = {"annotations": {"kubernetes.io/service-account.name": READER}}
        kind = {"type": "kubernetes.io/service-account-token"}
        metadata = {"name": ref.name, **place, **account}
        changes.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, **kind}, "istioctl")
    deadline = time.monotonic() + 5
    while not ((client.get(ref) or {}).get("data") or {}).get("token"):
        if time.monotonic() > deadline:
            sys.exit('Error: no "ca.crt" data found')
        time.sleep(0.01)
    data = (client.get(ref) or {})["data"]
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"certificate-authority-data": data["ca.crt"], "server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": base64.b64decode(data["token"]).decode()}}],
    }
    metadata = {
        "name": f"istio-remote-secret-{name}",
        **place,
        "labels": {"istio/multiCluster": "true"},
        "annotations": {"networking.istio.io/cluster": name},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": {name: yaml.safe_dump(kubeconfig)},
    }
    print(yaml.safe_dump(secret))


def main() -> None:
    """Do as the arguments say; they are those of istioctl 1.12 and later."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("version", "install", "create-remote-secret", "manifest"))
    parser.add_argument("verb", nargs="?")
    for flag in ("--kubeconfig", "--context", "-n", "--name", "--server", "-o", "--readiness-timeout"):
        parser.add_argument(flag)
    parser.add_argument("--remote")
    parser.add_argument("-y", action="store_true")
    parser.add_argument("-f", action="append", default=[])
    given = parser.parse_args()
    if given.command == "version":
        print(json.dumps({"clientVersion": {"version": VERSION}}))
        return
    if given.command == "manifest":
        generate(given.f)
        return
    client = _client(given.kubeconfig or os.environ["KUBECONFIG"], given.context)  # as the real one
    if given.command == "install":
        install(client, given.f)
    else:
        remote_secret(client, given.name, given.server)


if __name__ == "__main__":
    main()
