"""Control plane and east-west gateway by one `istioctl install` per cluster, and the wait for istiod that others build on.

What was installed is kept in the cluster, in ConfigMap `meshwizard`: a run with no local state compares with that, field by
field. It also holds what the install made, so that what is deleted is missed, and which CRDs were there before, so that
undo leaves those alone.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, MUTATING_WEBHOOK, NAMESPACE, Object, Ref, ref_of
from wizard.clusters.port import Cluster
from wizard.clusters.typed import istioctl, kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step, World
from wizard.errors import Failed
from wizard.istio import names
from wizard.istio.operator import OPERATOR_NAME, UNKNOWN_ADDRESS, operator_of, operator_yaml
from wizard.istio.overlays import digest
from wizard.istio.versions import remote_runs_istiod
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.steps import crds, defaulttag, foreign, gateway, removal
from wizard.steps.declared import put, put_missing
from wizard.steps.discovery import discovery_address
from wizard.steps.ownership import ISTIO_OWNER, MESH, annotation, differing, label, way_out
from wizard.steps.pods import available, pod_trouble
from wizard.steps.watch import Watch
from wizard.text import here_document, one_line, quoted

RECORD = Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE)
_MADE = "made"
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
        needed += _missing(cluster, record, needed)
        if not needed:
            return Done(f"Istio {self.mesh.istio.version}")
        return self._overwriting(world, record) or Needed(tuple(needed))

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        operator = operator_yaml(self.mesh, self.member, self._discovery(world))
        self._record_begun(cluster, operator)
        if self.mesh.istio.revision:
            defaulttag.make_again(cluster)
        if self.mesh.has_gateway(self.member.name):
            gateway.make_room(cluster, self.member, job)
        watch = Watch(cluster, job)
        try:
            world.istioctl.install(
                self.member, operator, self.mesh.istio.overlays,
                say=job.output, cancelled=watch.look, seconds=INSTALL_SECONDS,
            )  # fmt: skip
        except Failed as failure:
            raise watch.explained(failure) from failure
        except BaseException:
            if watch.trouble:
                raise watch.trouble from None
            raise
        before = (cluster.get(RECORD) or {}).get("data", {}).get("crds-before", "")
        record = self._record(before, operator)
        record["data"][_MADE] = "\n".join(sorted(str(ref_of(item)) for item in foreign.installed(cluster)))
        put_missing(cluster, record, self.mesh.name)

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        record = cluster.get(RECORD)
        # Where somebody deleted the record, the namespace tells whose it is, and istioctl's label what we installed.
        mark = record if record is not None else cluster.get(Ref(NAMESPACE, SYSTEM_NAMESPACE))
        mesh = annotation(mark, MESH)
        if mesh != self.mesh.name and (record is not None or mesh is not None):
            return
        if record is not None:
            before = set(record["data"].get("crds-before", "").split())
        elif removal.stands(cluster):
            before = set(_istio_crds(cluster))
            job.say(f"{cluster.name}: Istio's CRDs stay: ConfigMap {RECORD.name}, which told whose they are, is gone")
        else:
            if mesh is not None:  # our namespace still stands: we were stopped half-way, before the record went
                removal.remove_traces(cluster, job)
            return
        removal.remove_istio(cluster, before, job)
        cluster.delete(RECORD)

    def commands(self) -> list[Command]:
        overlays = "".join(f"-f {quoted(path)} " for path in self.mesh.istio.overlays)
        operator = operator_yaml(self.mesh, self.member)
        install = f"{istioctl(self.member, 'install')} -y {overlays}-f -"
        if UNKNOWN_ADDRESS in operator:
            control = self.mesh.control_plane(self.member.name)
            address = "{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}"
            # What a cluster answers goes into sed's own language.
            install = (
                f"discovery=$({kubectl(control)} -n {SYSTEM_NAMESPACE} get service {GATEWAY_NAME} -o jsonpath='{address}')\n"
                '[[ $discovery =~ ^[0-9A-Za-z.:-]+$ ]] || { echo "the load balancer gave no address" >&2; exit 1; }\n'
                + here_document(f'sed "s|{UNKNOWN_ADDRESS}|$discovery|"', operator, f" | {install}")
            )
        else:
            install = here_document(install, operator)
        return [
            Command(
                install,
                "Control plane, east-west gateway and meshNetworks at once; the name keeps a later install from pruning.",
            )
        ]

    def _discovery(self, world: World) -> str | None:
        return discovery_address(world, self.mesh, self.member) if self.member.role == "remote" else None

    def _overlays(self) -> list[str]:
        return [digest(path) for path in map(Path, self.mesh.istio.overlays)]

    def _record(self, before: str, operator: str | None) -> Object:
        # Empty, not absent: what is absent from an apply stays where somebody else wrote it.
        data = {"crds-before": before, "operator.yaml": ""}
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

    def _record_begun(self, cluster: Cluster, operator: str) -> None:
        """What stood before the first install, once: a repeated install must not take our own CRDs for older ones. And where
        something else is recorded as installed than will be, it is not true any more until this install is complete.
        """
        record = cluster.get(RECORD)
        data = (record or {}).get("data") or {}
        before = data.get("crds-before", "")
        if record is None:
            before = "\n".join(_istio_crds(cluster))
        data = {key: value for key, value in data.items() if key != _MADE}
        if record is None or (data.get("operator.yaml") and data != self._record(before, operator)["data"]):
            put(cluster, self._record(before, None), self.mesh.name)

    def _conflict(self, cluster: Cluster, istiod: Object | None) -> Conflict | None:
        owner = label(istiod, ISTIO_OWNER)
        if istiod is not None and owner != OPERATOR_NAME:
            by = f"IstioOperator {one_line(owner)}" if owner and owner != "unknown" else "another installer"
            return Conflict(
                f"{cluster.name}: an Istio installed by {by} stands in {SYSTEM_NAMESPACE} already",
                "Uninstall it first, or leave this cluster out: meshwizard does not overwrite what it did not make.",
            )
        record = cluster.get(RECORD)
        mesh = annotation(record, MESH)
        if mesh is not None and mesh != self.mesh.name:
            return Conflict(
                f"{cluster.name} belongs to mesh {one_line(mesh)} already",
                way_out(mesh),
            )
        # What an install of ours made carries our name from the start.
        if self.mesh.has_gateway(self.member.name) and _MADE not in ((record or {}).get("data") or {}):
            return gateway.of_somebody_else(cluster)
        return None

    def _recorded(self, world: World, record: Object | None) -> list[Difference]:
        """Where the recorded install differs from the wanted one, field by field."""
        data = (record or {}).get("data") or {}
        name = f"IstioOperator {OPERATOR_NAME}"
        if not data.get("operator.yaml"):
            return [Difference(name, "", "not completed", "to be installed")]
        recorded = _recorded_operator(record)
        wanted = _compared(operator_of(self.mesh, self.member, self._discovery(world) or _discovery_in(recorded)))
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

    def _overwriting(self, world: World, record: Object | None) -> Conflict | None:
        """What an install, which overwrites by force, would take from others without anybody having seen it."""
        cluster = world.cluster(self.cluster)
        discovery = self._discovery(world) or _discovery_in(_recorded_operator(record))
        operator = operator_yaml(self.mesh, self.member, discovery)
        lost = foreign.overwritten(
            cluster, lambda: world.istioctl.manifest(operator, self.mesh.istio.overlays), self._told_elsewhere
        )
        if not lost:
            return None
        more = f"; and {len(lost) - 3} more" if len(lost) > 3 else ""
        kind, _, rest = lost[0].object.partition(" ")
        name, _, namespace = rest.partition(" in ")
        edit = f"{kubectl(self.member)} {f'-n {namespace} ' if namespace else ''}edit {kind.lower()} {name}"
        return Conflict(
            f"{cluster.name}: the install would overwrite what others set: {'; '.join(map(str, lost[:3]))}{more}",
            f"Say the same in an overlay (istio.overlays of the mesh file), so that it stays; or take it back there: {edit}",
        )

    def _told_elsewhere(self, live: Object, field: str) -> bool:
        """What the mesh file itself says is a difference that plans show, and meshNetworks have a step of their own."""
        return (live["kind"], live["metadata"]["name"], field) == (
            "ConfigMap", names.mesh_config_name(self.mesh), "data.meshNetworks",
        ) or (live["metadata"]["name"] == GATEWAY_NAME and gateway.is_wished(live["kind"], field))  # fmt: skip

    def _standing(self, cluster: Cluster, istiod: Object | None) -> list[Difference]:
        """Where what stands in the cluster differs from what was installed."""
        told = []
        if runs_istiod(self.mesh, self.member):
            if istiod is None:
                told.append(Difference(str(istiod_of(self.mesh)), "", None, "to be installed"))
            elif not available(istiod):
                told.append(
                    Difference(str(istiod_of(self.mesh)), "status.availableReplicas", "0", "at least 1", passing=True)
                )
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

    waits = True

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
        wait = f"rollout status {quoted(f'deployment/{self._istiod.name}')} --timeout={ISTIOD_SECONDS}s"
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


def _istio_crds(cluster: Cluster) -> list[str]:
    """The names of Istio's CRDs that stand in the cluster."""
    return sorted(item["metadata"]["name"] for item in crds.standing(cluster))


def _missing(cluster: Cluster, record: Object | None, told: list[Difference]) -> list[Difference]:
    """What the install made and stands no more, as far as it is not told already."""
    made = ((record or {}).get("data") or {}).get(_MADE, "").splitlines()
    if not made:
        return []
    standing = {str(ref_of(item)) for item in foreign.installed(cluster)} | {each.object for each in told}
    return [Difference(one_line(name), "", None, "to be installed") for name in made if name not in standing]


def _recorded_operator(record: Object | None) -> Object:
    """What was installed, to compare with; empty where that cannot be read."""
    try:
        return _compared(_parsed(((record or {}).get("data") or {})["operator.yaml"]))
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=128)
def _parsed(text: str) -> Object:
    """Probed again and again, and much slower to read than to copy. Not to be changed."""
    operator: Object = yamltext.load(text)
    return operator


def _discovery_in(operator: Object) -> str | None:
    found = operator.get("spec", {}).get("values", {}).get("global", {}).get("remotePilotAddress")
    return str(found) if found else None
