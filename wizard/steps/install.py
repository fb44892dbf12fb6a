"""Control plane and east-west gateway by one `istioctl install` per cluster.

What was installed is kept in the cluster, in ConfigMap `meshwizard`: a run with no local state compares with that, field by
field. It also holds what the install made, so that what is deleted is missed, and what was there before, so that undo leaves
that alone and gives it back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wizard import kinds
from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    Object,
    Ref,
    ref_of,
)  # fmt: skip
from wizard.clusters.port import Cluster, Right
from wizard.clusters.typed import istioctl, kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.errors import Failed, NeedsPerson
from wizard.istio import names
from wizard.istio.operator import OPERATOR_NAME, UNKNOWN_ADDRESS, operator_of, operator_yaml
from wizard.istio.overlays import digest
from wizard.istio.proxies import control_plane_version
from wizard.istio.versions import remote_runs_istiod, step_trouble
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects import crds, defaulttag, foreign, gateway, removal
from wizard.objects.before import Before, Found, Wanted, addresses, look_up, touched_by_others
from wizard.objects.discovery import discovery_address
from wizard.objects.installed import MADE, RECORD, before_of, compared, discovery_in, missing, recorded_operator
from wizard.objects.ownership import MESH, annotation, exact_differences
from wizard.objects.placing import put, put_missing
from wizard.objects.pods import available
from wizard.probes.watch import Watch
from wizard.steps import obstacles
from wizard.steps.loadbalancer import awaits_address
from wizard.text import here_document, listing, quoted
from wizard.world import World

_SOME_ADDRESS = "192.0.2.1"
INSTALL_SECONDS = 900


def runs_istiod(mesh: model.Mesh, cluster: model.Cluster) -> bool:
    """Whether this cluster runs an istiod of its own."""
    return cluster.role == "primary" or remote_runs_istiod(str(mesh.istio.version))


def istiod_of(mesh: model.Mesh) -> Ref:
    """The Deployment istiod of this mesh's revision."""
    return Ref(DEPLOYMENT, names.istiod_name(mesh), SYSTEM_NAMESPACE)


class Install(Step):
    """`istioctl install` of the cluster's IstioOperator."""

    kind = kinds.INSTALL
    rights = (
        *(Right("create", kind) for kind in (CRD, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, MUTATING_WEBHOOK)),
        *(Right("patch", kind) for kind in (CRD, CLUSTER_ROLE)),
        *(
            Right(verb, kind, SYSTEM_NAMESPACE)
            for kind in (CONFIG_MAP, SERVICE, SERVICE_ACCOUNT, DEPLOYMENT)
            for verb in ("create", "patch")
        ),
        Right("delete", POD, SYSTEM_NAMESPACE),
        Right("list", POD),
    )

    def __init__(self, mesh: model.Mesh, cluster: model.Cluster, version_step: bool = False) -> None:
        """`version_step`: see `plan_of`."""
        super().__init__(
            _title(mesh, cluster), cluster=cluster.name, needs=_needs(mesh, cluster), awaits=_awaits(mesh, cluster)
        )
        self.mesh = mesh
        self.member = cluster
        self._files = mesh.overlays_of(cluster.name)
        self._version_step = version_step
        self._wanted: list[Wanted] | None = None  # what is rendered: slow to get, and asked for again and again

    def wanted(self) -> Any:
        return {"operator": operator_yaml(self.mesh, self.member), "overlays": self._overlays()}

    def probe(self, world: World) -> Probe:
        cluster = world.cluster(self.cluster)
        istiod = cluster.get(istiod_of(self.mesh))
        conflict = obstacles.somebody_elses(cluster, istiod, self.mesh.name)
        if conflict:
            return conflict
        record = cluster.get(RECORD)
        first = istiod is None and record is None
        if first:
            needed = [Difference(f"Istio {self.mesh.istio.version}", "", None, msg("to be installed"))]
        else:
            needed = [*self._recorded(world, record), *self._standing(cluster, istiod)]
            needed += missing(cluster, record, needed)
        moved = gateway.moved(cluster, self.member) if self.mesh.has_gateway(self.member.name) else None
        if moved and not first:
            return moved
        if not needed:
            return Done(f"Istio {self.mesh.istio.version}")
        stepping = None if first else self._stepping(cluster)
        if stepping:
            return stepping
        render = functools.cache(lambda: self._rendered(world, record))
        found = self._not_ours(cluster, record, render)
        conflict = found.conflict(self.member.name, self.member, revised=bool(self.mesh.istio.revision))
        if conflict is None and not first:
            conflict = self._overwriting(cluster, render)
        return conflict or Needed((*needed, *found.told()))

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        operator = operator_yaml(self.mesh, self.member, self._discovery(world))
        self._record_begun(world, operator)
        if self.mesh.istio.revision:
            defaulttag.recreate(cluster)
        if self.mesh.has_gateway(self.member.name):
            gateway.remove_for_other_selector(cluster, self.member, job)
        watch = Watch(cluster, self.member, job)
        try:
            world.istioctl.install(
                self.member, operator, self._files,
                say=job.output, cancelled=watch.look, seconds=INSTALL_SECONDS,
            )  # fmt: skip
        except Failed as failure:
            raise watch.explained(failure) from failure
        except BaseException:
            if watch.trouble:
                raise watch.trouble from None
            raise
        if self.mesh.has_gateway(self.member.name):
            gateway.renew(cluster, self.mesh, job)
        record = self._record(before_of(cluster, cluster.get(RECORD)), operator)
        record["data"][MADE] = "\n".join(sorted(str(ref_of(item)) for item in foreign.installed(cluster)))
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
            before = before_of(cluster, record)
        elif removal.stands(cluster):
            shared = [item for item in removal.owned(cluster) if touched_by_others(item)]
            before = Before.of([*crds.standing(cluster), *shared])
            _tell_left(cluster.name, [str(ref_of(item)) for item in shared], job)
        else:
            if mesh is not None:  # our namespace still stands: we were stopped half-way, before the record went
                removal.remove_traces(cluster, job)
            return
        removal.remove_istio(cluster, before, job)
        if record is not None:
            cluster.delete(RECORD, uid=record["metadata"]["uid"])

    def commands(self) -> list[Command]:
        overlays = "".join(f"-f {quoted(path)} " for path in self._files)
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
                msg(
                    "Control plane, east-west gateway and meshNetworks at once; the name keeps a later install from pruning."
                ),
            )
        ]

    def _discovery(self, world: World) -> str | None:
        return discovery_address(world, self.mesh, self.member) if self.member.role == "remote" else None

    def _overlays(self) -> list[str]:
        return [digest(path) for path in self._files]

    def _record(self, before: Before, operator: str | None) -> Object:
        # Empty, not absent: what is absent from an apply stays where somebody else wrote it.
        data = {"before": before.text(), "operator.yaml": ""}
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

    def _record_begun(self, world: World, operator: str) -> None:
        """What stands and is not ours, before it is taken over; the definitions only before the first install, since a repeated
        one must not take our own for older ones. And nothing is recorded as installed until this install is complete, also
        where it repeats one: killed half-way it leaves what no field tells, such as two webhooks that both inject. NeedsPerson
        where something is somebody's by now.
        """
        cluster = world.cluster(self.cluster)
        record = cluster.get(RECORD)
        data = (record or {}).get("data") or {}
        found = self._not_ours(cluster, record, lambda: self._rendered(world, record))
        conflict = found.conflict(self.member.name, self.member, revised=bool(self.mesh.istio.revision))
        if conflict:
            raise NeedsPerson(conflict.what, conflict.remedy)
        first = []
        if record is None:
            token = cluster.get(removal.READER_TOKEN)
            first = [*crds.standing(cluster), *([token] if token is not None else [])]
        known = before_of(cluster, record)
        before = known.with_(Before.of([*first, *found.shared]))
        if record is None or before != known or data.get("operator.yaml"):
            begun = self._record(before, None)
            if MADE in data and data == {**self._record(before, operator)["data"], MADE: data[MADE]}:
                begun["data"][MADE] = data[MADE]  # the same again makes the same
            put(cluster, begun, self.mesh.name)

    def _stepping(self, cluster: Cluster) -> Conflict | None:
        """A step to another version of Istio that nobody consented to."""
        version = str(self.mesh.istio.version)
        trouble = None if self._version_step else step_trouble(control_plane_version(cluster, self.mesh), version)
        if trouble is None:
            return None
        return Conflict(
            msg("{cluster}: {problem}", cluster=cluster.name, problem=trouble),
            msg(
                "Give another istioctl with --istioctl, or consent to it: meshwizard resume or apply with --version-step."
            ),
        )

    def _rendered(self, world: World, record: Object | None) -> list[Object]:
        """What an install would apply, with what stands in for an address that nobody knows yet."""
        discovery = self._discovery(world) or discovery_in(recorded_operator(record))
        operator = operator_yaml(self.mesh, self.member, discovery).replace(UNKNOWN_ADDRESS, _SOME_ADDRESS)
        return world.istioctl.manifest(operator, self._files)

    def _not_ours(self, cluster: Cluster, record: Object | None, render: Callable[[], list[Object]]) -> Found:
        """What stands of what an install would make, and is not ours. It is rendered once in a run."""
        if self._wanted is None:
            self._wanted = addresses(render())
        beside = defaulttag.made_beside(cluster, self.mesh.istio.revision)
        return look_up(
            cluster, [*self._wanted, *map(Wanted, beside)], mesh=self.mesh.name,
            made=((record or {}).get("data") or {}).get(MADE, "").splitlines(), before=before_of(cluster, record),
        )  # fmt: skip

    def _recorded(self, world: World, record: Object | None) -> list[Difference]:
        """Where the recorded install differs from the wanted one, field by field."""
        data = (record or {}).get("data") or {}
        name = f"IstioOperator {OPERATOR_NAME}"
        if not data.get("operator.yaml"):
            return [Difference(name, "", msg("not completed"), msg("to be installed"))]
        recorded = recorded_operator(record)
        wanted = compared(operator_of(self.mesh, self.member, self._discovery(world) or discovery_in(recorded)))
        told = exact_differences(name, wanted, recorded)
        if data.get("overlays", "") != "\n".join(self._overlays()):
            told.append(Difference(name, "overlays", msg("other content"), msg("that of the files")))
        return told

    def _overwriting(self, cluster: Cluster, render: Callable[[], list[Object]]) -> Conflict | None:
        """What an install, which overwrites by force, would take from others without anybody having seen it."""
        lost = foreign.overwritten(cluster, render, self._told_elsewhere)
        return obstacles.overwriting(self.member, lost) if lost else None

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
                told.append(Difference(str(istiod_of(self.mesh)), "", None, msg("to be installed")))
            elif not available(istiod):
                told.append(
                    Difference(
                        str(istiod_of(self.mesh)), "status.availableReplicas", "0", msg("at least 1"), transient=True
                    )
                )
        if self.mesh.has_gateway(self.member.name):
            told += gateway.standing(cluster, self.mesh, self.member)
        injector = injector_of(self.mesh, self.member)
        if cluster.get(injector) is None:
            told.append(Difference(str(injector), "", None, msg("to be installed")))
        return told


def _title(mesh: model.Mesh, cluster: model.Cluster) -> str:
    if mesh.has_gateway(cluster.name):
        own = runs_istiod(mesh, cluster)
        return msg("Istio and east-west gateway") if own else msg("Istio's injector and east-west gateway")
    return msg("Istio") if runs_istiod(mesh, cluster) else msg("Istio's injector")


def _needs(mesh: model.Mesh, cluster: model.Cluster) -> tuple[str, ...]:
    own = runs_istiod(mesh, cluster)
    needs = [(kinds.INTERMEDIATE if own else kinds.NAMESPACE).id(cluster.name)]
    if mesh.istio.pull_secret:
        needs.append(kinds.PULL_SECRET.id(cluster.name))
    if cluster.role == "remote":
        control = mesh.control_plane(cluster.name)
        needs += [kinds.INSTALL.id(control.name), kinds.EXPOSE_ISTIOD.id(control.name)]
        if awaits_address(mesh, control):
            needs.append(kinds.GATEWAY_ADDRESS.id(control.name))
        if mesh.verify.probes == "before":
            # Without the remote secret, which needs the remote's API server, istioctl would wait for its gateway in vain.
            needs += [kinds.REACH_DISCOVERY.id(cluster.name), kinds.REACH_API.id(control.name)]
        if control in mesh.routed_from(cluster.name):
            needs.append(kinds.ROUTE.id(cluster.name, control.name))
    return tuple(needs)


def _awaits(mesh: model.Mesh, cluster: model.Cluster) -> tuple[str, ...]:
    """A remote's gateway is injected only once the primary's istiod reads the remote: else istioctl waits for it in vain."""
    if cluster.role != "remote" or not mesh.has_gateway(cluster.name):
        return ()
    return (kinds.REMOTE_SECRET.id(mesh.control_plane(cluster.name).name, cluster.name),)


def _tell_left(cluster: str, shared: list[str], job: Job) -> None:
    """Say that what nobody knows to be ours is left."""
    if shared:
        job.say(
            msg(
                "{cluster}: Istio's CRDs stay, and so do {objects}: ConfigMap {record}, which told whose they are, is gone",
                cluster=cluster,
                objects=listing(shared),
                record=RECORD.name,
            )
        )
    else:
        job.say(
            msg(
                "{cluster}: Istio's CRDs stay: ConfigMap {record}, which told whose they are, is gone",
                cluster=cluster,
                record=RECORD.name,
            )
        )


def injector_of(mesh: model.Mesh, cluster: model.Cluster) -> Ref:
    """The webhook that puts this cluster's proxies into Pods."""
    return Ref(MUTATING_WEBHOOK, names.injector_name(mesh, cluster))
