"""The simulated istioctl: implements `wizard.istio.port.Istioctl` over simulated clusters."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from wizard import yamltext
from wizard.clusters.kinds import (
    CRD,
    DEPLOYMENT,
    KINDS,
    MUTATING_WEBHOOK,
    NAMESPACE,
    SECRET,
    SERVICE_ACCOUNT,
    Object,
    Ref,
    kind_of,
)
from wizard.errors import Failed, Interrupted, Unreachable
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster
from wizard.messages import msg
from wizard.simulated import charts
from wizard.simulated import operator as operators
from wizard.simulated.answers import UNREACHED
from wizard.simulated.machine import Machine
from wizard.text import duration

MANAGER = "istio-operator"
READER = "istio-reader-service-account"
_INSTALL = "istioctl install"
_TITLES = {charts.BASE: "Istio core", charts.PILOT: "Istiod", charts.INGRESS: "Ingress gateways"}
_ICONS = {charts.BASE: "⛵️", charts.PILOT: "🧠", charts.INGRESS: "🛬"}
_APPLIES = {charts.BASE: 1.4, charts.PILOT: 0.7, charts.INGRESS: 0.5}  # seconds
_START = 0.6
_LOOK = 0.1
_SWITCHED_OFF = 0.15  # while nothing injects: measured with istioctl 1.29


class SimulatedIstioctl:
    """One istioctl for all simulated clusters. `fail_at` and `hang_at` break an install at a component (`Base`, `Pilot`,
    `IngressGateways`): `fail_at` maps it to istioctl's message, `hang_at` names those that never become ready.
    """

    def __init__(self, machine_of: Callable[[str], Machine], version: str, path: str) -> None:
        self.path = path
        self.fail_at: dict[str, str] = {}
        self.hang_at: set[str] = set()
        self._machine_of = machine_of
        self._version = version
        self._lock = threading.Lock()
        self.installs = 0

    def version(self) -> str:
        return self._version

    def install(
        self,
        cluster: Cluster,
        operator: str,
        overlays: Sequence[Path],
        *,
        say: Callable[[str], None],
        cancelled: Callable[[], bool],
        seconds: float,
    ) -> None:
        machine = self._reached(cluster)
        wanted = operators.read(operator, overlays, self._version)
        with self._lock:
            self.installs += 1
        run = _Run(machine, wanted, say, cancelled, seconds, cluster.name)
        run.sleep(_START)
        run.namespace()
        for component, manifests in charts.rendered(wanted).items():
            title = _TITLES[component]
            say(f"- Processing resources for {title}.")
            run.sleep(_APPLIES[component])
            if component in self.fail_at:
                say(f"✘ {title} encountered an error: {self.fail_at[component]}")
                raise _failed(self.fail_at[component])
            run.apply(component, manifests)
            run.ready(title, manifests, hang=component in self.hang_at)
            say(f"✔ {title} installed {_ICONS[component]}")
        say("- Pruning removed resources")
        run.prune()
        if run.takes_default():
            run.switch_off_default()
            run.sleep(_SWITCHED_OFF)
            run.apply("", charts.default_webhooks(wanted))
        say("✔ Installation complete")

    def manifest(self, operator: str, overlays: Sequence[Path]) -> list[Object]:
        wanted = operators.read(operator, overlays, self._version)
        made = [item for manifests in charts.rendered(wanted).values() for item in manifests]
        return [item for item in made if kind_of(item) != CRD]

    def remote_secret(self, cluster: Cluster, *, server: str) -> Object:
        machine = self._reached(cluster)
        machine.pace.sleep(0.5)
        place = {"namespace": SYSTEM_NAMESPACE}
        with machine.settled():
            if machine.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None:
                made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
                machine.store.update(made, MANAGER)  # without the network label, which only an install sets
            if machine.store.find(Ref(SERVICE_ACCOUNT, READER, SYSTEM_NAMESPACE)) is None:
                account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER, **place}}
                machine.store.update(account, MANAGER)
            ref = Ref(SECRET, f"{READER}-istio-remote-secret-token", SYSTEM_NAMESPACE)
            if machine.store.find(ref) is None:
                annotations = {"kubernetes.io/service-account.name": READER}
                made = {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": ref.name, **place, "annotations": annotations},
                    "type": "kubernetes.io/service-account-token",
                }
                machine.store.update(made, "istioctl")
            token = machine.found(ref)
        data = {name: base64.b64decode(text).decode() for name, text in ((token or {}).get("data") or {}).items()}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": cluster.name,
            "clusters": [
                {
                    "name": cluster.name,
                    "cluster": {
                        "certificate-authority-data": base64.b64encode(data["ca.crt"].encode()).decode(),
                        "server": server,
                    },
                }
            ],
            "contexts": [{"name": cluster.name, "context": {"cluster": cluster.name, "user": cluster.name}}],
            "users": [{"name": cluster.name, "user": {"token": data["token"]}}],
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": f"istio-remote-secret-{cluster.name}",
                "namespace": SYSTEM_NAMESPACE,
                "labels": {"istio/multiCluster": "true"},
                "annotations": {"networking.istio.io/cluster": cluster.name},
            },
            "stringData": {cluster.name: yamltext.dump(kubeconfig)},
        }

    def _reached(self, cluster: Cluster) -> Machine:
        machine = self._machine_of(cluster.context)
        if machine.unreachable:
            raise Unreachable(
                f"istioctl: Error: {cluster.name}: Get {machine.server}/version: connection refused", UNREACHED
            )
        return machine


class _Run:
    """One `istioctl install` in progress."""

    def __init__(
        self,
        machine: Machine,
        operator: Object,
        say: Callable[[str], None],
        cancelled: Callable[[], bool],
        seconds: float,
        cluster: str,
    ) -> None:
        self._machine = machine
        self._operator = operator
        self._say = say
        self._cancelled = cancelled
        self._seconds = seconds
        self._end = machine.pace.now() + seconds
        self._cluster = cluster
        self._applied: set[Ref] = set()
        self._changed: set[Ref] = set()

    def sleep(self, seconds: float) -> None:
        """Let time pass. Interrupted or Failed where it should not."""
        self._machine.pace.sleep(seconds, lambda: self._machine.pace.now() >= self._end or self._cancelled())
        self._check()

    def namespace(self) -> None:
        """istioctl makes the namespace where it is missing, and labels it only then."""
        with self._machine.lock:
            if self._machine.store.find(Ref(NAMESPACE, SYSTEM_NAMESPACE)) is None:
                network = operators.at(self._operator, "spec.values.global.network")
                labels = {"labels": {"topology.istio.io/network": network}} if network else {}
                made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE, **labels}}
                self._machine.store.update(made, MANAGER)

    def apply(self, component: str, manifests: Sequence[Object]) -> None:
        """Apply a component's objects with the owner's labels on them."""
        for manifest in manifests:
            self._check()
            labels = {**manifest["metadata"].get("labels", {}), **self._owner(), **_component(component)}
            owned = {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}
            ref = Ref(kind_of(owned), owned["metadata"]["name"], owned["metadata"].get("namespace", ""))
            with self._machine.settled():
                before = self._machine.store.find(ref)
                # The charts ask which version there is.
                owned["apiVersion"] = self._machine.store.version(ref.kind)
                try:
                    after = self._machine.store.apply(owned, MANAGER, force=True).manifest
                except Failed as failure:
                    place = f"{ref.kind.kind}/{ref.namespace}/{ref.name}"
                    error = f"failed to update resource with server-side apply for obj {place}: {failure.what}"
                    self._say(f"✘ {_TITLES.get(component, 'Webhooks')} encountered an error: {error}")
                    raise _failed(error) from failure
            self._applied.add(ref)
            if before is None or before.manifest["metadata"]["generation"] != after["metadata"]["generation"]:
                self._changed.add(ref)

    def ready(self, title: str, manifests: Sequence[Object], *, hang: bool) -> None:
        """Wait until the component's Deployments are available."""
        waits = [item["metadata"]["name"] for item in manifests if item["kind"] == "Deployment"]
        # What was made or changed is not ready at once, even where the simulation wastes no time.
        waiting = [name for name in waits if Ref(DEPLOYMENT, name, SYSTEM_NAMESPACE) in self._changed]
        if waiting:
            places = ", ".join(f"Deployment/{SYSTEM_NAMESPACE}/{name}" for name in waiting)
            self._say(f"- Processing resources for {title}. Waiting for {places}")
        while hang or not all(self._available(name) for name in waits):
            self._machine.pace.sleep(_LOOK, self._cancelled)
            if self._machine.pace.speed == 0:
                threading.Event().wait(0.005)
            self._check()

    def prune(self) -> None:
        """Remove what the same IstioOperator made before and does not make any more."""
        wanted = {name: value for name, value in self._owner().items() if name != "operator.istio.io/version"}
        with self._machine.lock:
            for kind in KINDS:
                for record in self._machine.store.all(kind):
                    metadata = record.manifest["metadata"]
                    labels = metadata.get("labels") or {}
                    ref = Ref(kind, metadata["name"], metadata.get("namespace", ""))
                    ours = wanted.items() <= labels.items() and "operator.istio.io/component" in labels
                    if ours and ref not in self._applied:
                        self._machine.store.remove(ref)
            self._machine.settle()

    def takes_default(self) -> bool:
        """Whether the default revision's tag is made: for the default itself, and where there is none yet. It is made after
        the one injector of the revision; where there are several, istioctl leaves it, without a word.
        """
        revision = operators.revision(self._operator)
        if revision == "default":
            return True
        injectors = [
            live["metadata"]["labels"] for live in self._machine.listed(MUTATING_WEBHOOK, labels="istio.io/rev")
        ]
        own = [each for each in injectors if each["istio.io/rev"] == revision and "istio.io/tag" not in each]
        tagged = self._machine.listed(MUTATING_WEBHOOK, labels="app=sidecar-injector,istio.io/tag=default")
        return len(own) == 1 and not tagged

    def switch_off_default(self) -> None:
        """What istioctl does before it makes the default tag: the injector of a revision `default` matches nothing any more."""
        with self._machine.settled():
            for live in self._machine.listed(MUTATING_WEBHOOK, labels="app=sidecar-injector,istio.io/rev=default"):
                if "istio.io/tag" not in live["metadata"]["labels"]:
                    hooks = charts.switched_off(live["webhooks"])
                    self._machine.store.update({**live, "webhooks": hooks}, "istioctl")

    def _available(self, name: str) -> bool:
        deployment = self._machine.found(Ref(DEPLOYMENT, name, SYSTEM_NAMESPACE)) or {}
        status = deployment.get("status") or {}
        # The rollout is over: no pod of an older template is left.
        return bool(status.get("availableReplicas")) and status.get("replicas") == status.get("updatedReplicas")

    def _owner(self) -> dict[str, str]:
        labels = {
            "operator.istio.io/managed": "Reconcile",
            "operator.istio.io/version": str(operators.at(self._operator, "spec.tag")),
            "istio.io/rev": operators.revision(self._operator),
        }
        # Without a name istioctl leaves these two out, and so prunes what others made.
        name = operators.at(self._operator, "metadata.name")
        if name:
            labels["install.operator.istio.io/owning-resource"] = str(name)
            place = operators.at(self._operator, "metadata.namespace", SYSTEM_NAMESPACE)
            labels["install.operator.istio.io/owning-resource-namespace"] = str(place)
        return labels

    def _check(self) -> None:
        if self._cancelled():
            raise Interrupted(msg("{command} in {cluster} was stopped", command=_INSTALL, cluster=self._cluster))
        if self._machine.unreachable:
            told = f"Error: the API server {self._machine.server} does not answer"
            what = msg("{command} in {cluster}: {problem}", command=_INSTALL, cluster=self._cluster, problem=told)
            raise Failed(what, "")
        if self._machine.pace.now() >= self._end:
            raise Failed(
                msg("{command} did not end within {time}", command=_INSTALL, time=duration(self._seconds)),
                msg("See the log for what it waited for."),
            )


def _failed(told: str) -> Failed:
    """What to raise where istioctl says that."""
    return Failed(
        msg("{command}: {problem}", command=_INSTALL, problem=f"Error: {told}"),
        msg("See the log for all that istioctl said."),
    )


def _component(name: str) -> dict[str, str]:
    return {"operator.istio.io/component": name} if name else {}
