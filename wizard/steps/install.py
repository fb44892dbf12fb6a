"""Control plane and east-west gateway by one `istioctl install` per cluster, and the wait for istiod that others build on.

What was installed is kept in the cluster, in ConfigMap `meshwizard`: a run with no local state compares with that, field by
field. It also holds which CRDs were there before, so that undo leaves those alone.
"""

from __future__ import annotations

import copy
import hashlib
import shlex
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, CRD, DEPLOYMENT, MUTATING_WEBHOOK, Object, Ref
from wizard.clusters.port import Cluster
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step, World
from wizard.errors import Failed
from wizard.istio import names
from wizard.istio.operator import OPERATOR_NAME, UNKNOWN_ADDRESS, operator_of, operator_yaml
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.steps import gateway, removal
from wizard.steps.declared import kubectl, put
from wizard.steps.discovery import discovery_address
from wizard.steps.ownership import ISTIO_OWNER, MESH, annotation, differing, label
from wizard.steps.pods import available, pod_trouble
from wizard.steps.watch import Watch
from wizard.text import one_line

RECORD = Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE)
INSTALL_SECONDS = 900
ISTIOD_SECONDS = 420


def runs_istiod(mesh: model.Mesh, cluster: model.Cluster) -> bool:
    """Whether this cluster runs an istiod of its own."""
    return cluster.role == "primary" or remote_runs_istiod(str(mesh.istio.version))


def istiod_of(mesh: model.Mesh) -> Ref:
    """The Deployment istiod of this mesh's revision."""
    return Ref(DEPLOYMENT, names.istiod_name(mesh), SYSTEM_NAMESPACE)


class Install(Step):
    """`istioctl install` of the cluster's IstioOperator."""

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster, needs: tuple[str, ...]) -> None:
        gateway = " and east-west gateway" if mesh.has_gateway(cluster.name) else ""
        what = "Istio" if runs_istiod(mesh, cluster) else "Istio's injector"
        super().__init__(f"{cluster.name}/install", what + gateway, cluster=cluster.name, needs=needs)
        self.mesh = mesh
        self.member = cluster

    def wanted(self) -> Any:
        return {"operator": operator_yaml(self.mesh, self.member), "overlays": self._overlays()}

    def probe(self, world: World) -> Probe:
        cluster = world.cluster(self.cluster)
        istiod = cluster.get(istiod_of(self.mesh))
        conflict = self._conflict(cluster, istiod)
        if conflict:
            return conflict
        record = cluster.get(RECORD)
        if istiod is None and record is None:
            return Needed((Difference(f"Istio {self.mesh.istio.version}", "", None, "to be installed"),))
        needed = [*self._recorded(world, record), *self._standing(cluster, istiod)]
        return Needed(tuple(needed)) if needed else Done(f"Istio {self.mesh.istio.version}")

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        self._record_before(cluster)
        operator = operator_yaml(self.mesh, self.member, self._discovery(world))
        watch = Watch(cluster, job)
        try:
            world.istioctl.install(
                self.member, operator, self.mesh.istio.overlays,
                say=job.say, cancelled=watch.look, seconds=INSTALL_SECONDS,
            )  # fmt: skip
        except Failed as failure:
            raise watch.explained(failure) from failure
        except BaseException:
            if watch.trouble:
                raise watch.trouble from None
            raise
        before = (cluster.get(RECORD) or {}).get("data", {}).get("crds-before", "")
        put(cluster, self._record(before, operator), self.mesh.name)

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        record = cluster.get(RECORD)
        if record is None or annotation(record, MESH) != self.mesh.name:
            return
        removal.remove_istio(cluster, set(record["data"].get("crds-before", "").split()), job)
        cluster.delete(RECORD)

    def commands(self) -> list[Command]:
        kubeconfig = f"--kubeconfig={shlex.quote(str(self.member.kubeconfig))} " if self.member.kubeconfig else ""
        overlays = "".join(f"-f {shlex.quote(str(path))} " for path in self.mesh.istio.overlays)
        operator = operator_yaml(self.mesh, self.member)
        install = f"istioctl install {kubeconfig}--context={shlex.quote(self.member.context)} -y {overlays}-f -"
        if UNKNOWN_ADDRESS in operator:
            control = self.mesh.control_plane(self.member.name)
            address = "{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}"
            install = (
                f"discovery=$({kubectl(control)} -n {SYSTEM_NAMESPACE} get service {GATEWAY_NAME} -o jsonpath='{address}')\n"
                f"sed \"s|{UNKNOWN_ADDRESS}|$discovery|\" <<'EOF' | {install}"
            )
        else:
            install += " <<'EOF'"
        return [
            Command(
                f"{install}\n{operator}EOF",
                "Control plane, east-west gateway and meshNetworks at once; the name keeps a later install from pruning.",
            )
        ]

    def _discovery(self, world: World) -> str | None:
        return discovery_address(world, self.mesh, self.member) if self.member.role == "remote" else None

    def _overlays(self) -> list[str]:
        # One that is gone is refused before an install; to take one back it is not needed.
        return [
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "gone"
            for path in map(Path, self.mesh.istio.overlays)
        ]

    def _record(self, before: str, operator: str | None) -> Object:
        data = {"crds-before": before}
        if operator is not None:
            data |= {
                "operator.yaml": operator,
                "overlays": "\n".join(self._overlays()),
                "version": str(self.mesh.istio.version),
            }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": RECORD.name, "namespace": RECORD.namespace},
            "data": data,
        }

    def _record_before(self, cluster: Cluster) -> None:
        """What stood before the first install, once: a repeated install must not take our own CRDs for older ones."""
        if cluster.get(RECORD) is None:
            crds = [
                item["metadata"]["name"]
                for item in cluster.objects(CRD)
                if item["metadata"]["name"].endswith("istio.io")
            ]
            put(cluster, self._record("\n".join(sorted(crds)), None), self.mesh.name)

    def _conflict(self, cluster: Cluster, istiod: Object | None) -> Conflict | None:
        owner = label(istiod, ISTIO_OWNER)
        if istiod is not None and owner != OPERATOR_NAME:
            by = f"IstioOperator {one_line(owner)}" if owner and owner != "unknown" else "another installer"
            return Conflict(
                f"{cluster.name}: an Istio installed by {by} stands in {SYSTEM_NAMESPACE} already",
                "Uninstall it first, or leave this cluster out: meshwizard does not overwrite what it did not make.",
            )
        mesh = annotation(cluster.get(RECORD), MESH)
        if mesh is not None and mesh != self.mesh.name:
            return Conflict(
                f"{cluster.name} belongs to mesh {one_line(mesh)} already",
                f"Give the mesh file that name, or first run: meshwizard uninstall {one_line(mesh)}",
            )
        return None

    def _recorded(self, world: World, record: Object | None) -> list[Difference]:
        """Where the recorded install differs from the wanted one, field by field."""
        data = (record or {}).get("data") or {}
        name = f"IstioOperator {OPERATOR_NAME}"
        if "operator.yaml" not in data:
            return [Difference(name, "", "not completed", "to be installed")]
        try:
            recorded = _compared(yamltext.load(data["operator.yaml"]))
        except (yaml.YAMLError, KeyError, TypeError):
            recorded = {}
        discovery = self._discovery(world) or _discovery_in(recorded)
        wanted = _compared(operator_of(self.mesh, self.member, discovery))
        found = {path: (old, new) for path, old, new in differing(wanted, recorded)}
        found |= {path: (old, new) for path, new, old in differing(recorded, wanted) if path not in found}
        told = [
            Difference(
                name, ".".join(path), None if old is None else one_line(old), None if new is None else one_line(new)
            )
            for path, (old, new) in found.items()
        ]
        if data.get("overlays", "") != "\n".join(self._overlays()):
            told.append(Difference(name, "overlays", "other content", "that of the files"))
        return told

    def _standing(self, cluster: Cluster, istiod: Object | None) -> list[Difference]:
        """Where what stands in the cluster differs from what was installed."""
        told = []
        if runs_istiod(self.mesh, self.member):
            if istiod is None:
                told.append(Difference(str(istiod_of(self.mesh)), "", None, "to be installed"))
            elif not available(istiod):
                told.append(Difference(str(istiod_of(self.mesh)), "status.availableReplicas", "0", "at least 1"))
        if self.mesh.has_gateway(self.member.name):
            told += gateway.standing(cluster, self.member)
        injector = _injector(self.mesh, self.member)
        if cluster.get(injector) is None:
            told.append(Difference(str(injector), "", None, "to be installed"))
        return told


class IstiodReady(Step):
    """istiod answers and injects, while `istioctl install` may still wait for the gateway: what needs only istiod starts.
    In a remote, the istiod of its primary does.
    """

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster) -> None:
        self._own = runs_istiod(mesh, cluster)
        control = cluster.name if self._own else str(cluster.primary)
        super().__init__(
            f"{cluster.name}/istiod", "istiod answers and injects" if self._own else f"istiod of {control} injects",
            cluster=cluster.name, needs=(f"{cluster.name}/namespace",), joins=(f"{cluster.name}/install",),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster
        self._istiod = istiod_of(mesh)

    def probe(self, world: World) -> Probe:
        seen = self._seen(world.cluster(self.cluster))
        return Needed((Difference(self.title, "", seen, "available, its webhook ready"),)) if seen else Done()

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)

        def look() -> tuple[bool | None, str]:
            seen = self._seen(cluster)
            return (None if seen else True), seen

        job.wait("istiod to answer and inject", look, seconds=ISTIOD_SECONDS, every=0.4)

    def commands(self) -> list[Command]:
        if not self._own:
            return []
        wait = f"rollout status deployment/{self._istiod.name} --timeout={ISTIOD_SECONDS}s"
        return [Command(f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} {wait}")]

    def _seen(self, cluster: Cluster) -> str:
        """What is missing; empty where nothing is."""
        if self._own:
            istiod = cluster.get(self._istiod)
            if istiod is None:
                return f"no Deployment {self._istiod.name} yet"
            if not available(istiod):
                return pod_trouble(cluster, SYSTEM_NAMESPACE, "app=istiod") or "istiod is starting"
        injector = cluster.get(_injector(self.mesh, self.member))
        hooks = (injector or {}).get("webhooks") or []
        if not hooks or not all(hook.get("clientConfig", {}).get("caBundle") for hook in hooks):
            return "the injection webhook has no certificate yet"
        return ""


def _injector(mesh: model.Mesh, cluster: model.Cluster) -> Ref:
    return Ref(MUTATING_WEBHOOK, names.injector_name(mesh, cluster))


def _compared(operator: Object) -> Object:
    """The IstioOperator without meshNetworks, which have a step of their own: they change with every cluster that comes
    or goes, and nothing else has to be installed again for that.
    """
    told: Object = copy.deepcopy(operator)
    told["spec"]["values"]["global"].pop("meshNetworks", None)
    return told


def _discovery_in(operator: Object) -> str | None:
    found = operator.get("spec", {}).get("values", {}).get("global", {}).get("remotePilotAddress")
    return str(found) if found else None
