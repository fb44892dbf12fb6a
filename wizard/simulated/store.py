"""The objects of one simulated cluster, with the answers of an API server. Not thread-safe: its owner holds the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from wizard.clusters.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    JOB,
    KINDS,
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Kind,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.port import Conflicting, Outdated
from wizard.errors import Failed
from wizard.messages import joined, msg
from wizard.simulated import fields
from wizard.simulated.admission import Admission, admit, refuse_external_ips
from wizard.simulated.answers import not_made, refused, request
from wizard.simulated.pace import made_uid
from wizard.simulated.records import Owned, Place, Record, Records
from wizard.simulated.selectors import selector

_BUILT_IN = frozenset({"", "apps", "autoscaling", "batch", "policy"})
# Definitions of kinds serve theirs in several versions, of which nothing here depends.
_USUAL = {kind.resource: kind.api_version for kind in KINDS if not kind.group.endswith("istio.io")}
_STIRRING = frozenset(
    kind.resource
    for kind in (
        CONFIG_MAP, DEPLOYMENT, JOB, MUTATING_WEBHOOK, NAMESPACE, POD, SECRET, SERVICE_ACCOUNT, VALIDATING_WEBHOOK,
    )
)  # fmt: skip


class Store:
    """Objects by their address. Every write goes through `put`; refusals are Failed with the API server's sentence."""

    def __init__(
        self, cluster: str, seed: int, clock: Callable[[], datetime], now: Callable[[], float],
        service_cidr: str,
    ) -> None:  # fmt: skip
        """`cluster`: its name, for refusals. `seed`: of uids. `clock`: wall time, for what objects tell; `now`: seconds since
        the start, for what ends by itself. `service_cidr`: the range of Services' addresses.
        """
        self._cluster = cluster
        self._seed = seed
        self._clock = clock
        self._now = now
        self._records = Records()
        self._births: dict[Ref, int] = {}
        self._owning: set[str] = set()  # uids that others name as their owner
        self._version = 1000
        self._stirred = 0
        self.secrets = 0  # grows with every change of a Secret
        self.served: dict[str, str] = {}  # resource → the only version that has it, where that is not the usual one
        self.admission = Admission(service_cidr)
        self.no_external_ips = False

    @property
    def newest(self) -> int:
        """The resourceVersion of the last write: it grows with each."""
        return self._version

    @property
    def revision(self) -> int:
        """Grows with every change that something else in the cluster may follow from."""
        return self._stirred

    def changes(self, *kinds: Kind) -> tuple[int, ...]:
        """How often a record of each kind came, went or was replaced."""
        return tuple(map(self._records.changes, kinds))

    def knows(self, kind: Kind) -> bool:
        """Whether the kind is built in or its CustomResourceDefinition is there."""
        in_api = kind.group in _BUILT_IN or kind.group.endswith(".k8s.io")
        return in_api or self._records.get(Ref(CRD, kind.resource)) is not None

    def version(self, kind: Kind) -> str:
        """The version in which the kind is read: the one that is asked for, where it is served."""
        usual = _USUAL.get(kind.resource, kind.api_version)
        return self.served.get(kind.resource, usual)

    def find(self, ref: Ref) -> Record | None:
        """The record at this address."""
        return self._records.get(ref) if self.knows(ref.kind) else None

    def all(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Record]:
        """The records of a kind in the order of their names."""
        if not self.knows(kind):
            return []
        ordered = self._records.ordered(kind.resource)
        if namespace and kind.namespaced:
            ordered = [(at, record) for at, record in ordered if at[0] == namespace]
        if labels:
            wanted = selector(labels)
            ordered = [(at, record) for at, record in ordered if wanted(_labels(record.manifest))]
        return [record for _, record in ordered]

    def apply(self, manifest: Object, manager: str, *, force: bool = False, dry_run: bool = False) -> Record:
        """Server-side apply. Gives the record as it is (or, for a dry run, would be) afterwards."""
        ref = self._address(manifest)
        manifest = admit(manifest)
        record = self.find(ref)
        config = fields.owned(manifest)
        if record is None:
            return self._create(ref, manifest, manager, "Apply", config, dry_run)
        live = record.manifest
        mine = next((o for o in record.owners if (o.manager, o.operation) == (manager, "Apply")), None)
        others = [owner for owner in record.owners if owner is not mine]
        contested = {
            path: owner.manager
            for owner in others
            for path in config & owner.paths
            if not path[-1].startswith("k:") and fields.value_at(live, path) != fields.value_at(manifest, path)
        }
        if contested and not force:
            raise _conflict(self._cluster, ref, contested)
        kept = frozenset[fields.Path]().union(*(owner.paths for owner in others))
        dropped = (mine.paths if mine else frozenset()) - config - kept
        result = fields.without(fields.merged(live, manifest), dropped)
        owners = [Owned(o.manager, o.operation, o.paths.difference(contested), o.at) for o in others]
        owners.append(Owned(manager, "Apply", config, mine.at if mine and mine.paths == config else self._stamp()))
        return self._replace(ref, record, result, owners, dry_run)

    def update(self, manifest: Object, manager: str) -> Record:
        """Create, or replace whole, as a controller or a person with `kubectl edit` does."""
        ref = self._address(manifest)
        manifest = admit(manifest)
        record = self.find(ref)
        if record is None:
            return self._create(ref, manifest, manager, "Update", fields.owned(manifest), dry_run=False)
        manifest = {**manifest, "metadata": {**record.manifest["metadata"], **manifest["metadata"]}}
        manifest["metadata"].pop("managedFields", None)
        changed = fields.differing(manifest, record.manifest)
        lost = changed | fields.differing(record.manifest, manifest)
        mine = next((o.paths for o in record.owners if (o.manager, o.operation) == (manager, "Update")), frozenset())
        owners = [
            Owned(o.manager, o.operation, o.paths - lost, o.at)
            for o in record.owners
            if (o.manager, o.operation) != (manager, "Update")
        ]
        owners.append(Owned(manager, "Update", (mine - lost) | changed, self._stamp()))
        return self._replace(ref, record, manifest, owners, dry_run=False)

    def create(self, manifest: Object, manager: str) -> Record:
        """Create; Outdated where it exists."""
        ref = self._address(manifest)
        if self.find(ref) is not None:
            told = f'{ref.kind.resource} "{ref.name}" already exists'
            raise Outdated(refused(self._cluster, request("create", str(ref)), told), "")
        manifest = admit(manifest)
        return self._create(ref, manifest, manager, "Update", fields.owned(manifest), dry_run=False)

    def replace(self, manifest: Object, manager: str) -> Record:
        """Replace whole, if it is still at the manifest's resourceVersion; else Outdated."""
        ref = ref_of(manifest)
        record = self.find(ref)
        if record is None:
            raise Outdated(refused(self._cluster, request("replace", str(ref)), msg("it is gone")), "")
        expected = manifest["metadata"].get("resourceVersion")
        if expected not in (None, record.manifest["metadata"]["resourceVersion"]):
            told = (
                f'Operation cannot be fulfilled on {ref.kind.resource} "{ref.name}": the object has been modified; please '
                "apply your changes to the latest version and try again"
            )
            raise Outdated(refused(self._cluster, request("replace", str(ref)), told), "")
        # An update merges the metadata, which here is given whole.
        dropped: Object = {field: {} for field in ("labels", "annotations") if field in record.manifest["metadata"]}
        return self.update({**manifest, "metadata": {**dropped, **manifest["metadata"]}}, manager)

    def remove(self, ref: Ref) -> None:
        """Take the record away, with what a namespace or a definition of a kind holds."""
        record = self._records.pop(ref)
        if record is None:
            return
        self._stir(ref, record.manifest)
        self.admission.release(ref)
        if ref.kind == NAMESPACE:
            self._remove_where(lambda kind, key, _: kind.namespaced and key[0] == ref.name)
        elif ref.kind == CRD:
            self._remove_where(lambda kind, _, __: kind.resource == ref.name)
        uid = record.manifest["metadata"]["uid"]
        if uid not in self._owning:
            return
        self._owning.remove(uid)
        self._remove_where(
            lambda _, __, other: any(
                owner.get("uid") == uid for owner in other.manifest["metadata"].get("ownerReferences") or []
            )
        )

    def _remove_where(self, doomed: Callable[[Kind, Place, Record], bool]) -> None:
        for ref in self._records.where(doomed):
            self.remove(ref)

    # -- writing

    def _address(self, manifest: Object) -> Ref:
        try:
            ref = ref_of(manifest)
        except KeyError as error:
            told = f"the server could not find the requested resource ({error})"
            raise Failed(msg("{cluster}: {problem}", cluster=self._cluster, problem=told)) from error
        if not self.knows(ref.kind) or self.version(ref.kind) != ref.kind.api_version:
            raise not_made(self._cluster, ref, "the server could not find the requested resource")
        if ref.kind.namespaced:
            place = self.find(Ref(NAMESPACE, ref.namespace))
            if place is None:
                raise not_made(self._cluster, ref, f'namespaces "{ref.namespace}" not found')
            if place.manifest["metadata"].get("deletionTimestamp") and self.find(ref) is None:
                told = (
                    f'{ref.kind.resource} "{ref.name}" is forbidden: unable to create new content in namespace '
                    f"{ref.namespace} because it is being terminated"
                )
                raise not_made(self._cluster, ref, told)
        return ref

    def _create(
        self,
        ref: Ref,
        manifest: Object,
        manager: str,
        operation: str,
        paths: Iterable[fields.Path],
        dry_run: bool,
    ) -> Record:
        births = self._births.get(ref, 0)
        self._refuse(ref, manifest, None)
        manifest = self.admission.allocate(self._cluster, ref, manifest, None, dry_run=dry_run)
        stamp = self._stamp()
        metadata = {
            **manifest["metadata"],
            "uid": made_uid(self._seed, self._cluster, ref, births),
            "creationTimestamp": stamp,
            "resourceVersion": str(self._version + 1),
            "generation": 1,
        }
        record = Record(
            {**manifest, "metadata": metadata}, [Owned(manager, operation, frozenset(paths), stamp)], self._now()
        )
        if not dry_run:
            self._births[ref] = births + 1
            self._owning |= {owner["uid"] for owner in metadata.get("ownerReferences") or []}
            self._stir(ref, manifest)
            self._records.put(ref, record)
        return record

    def _replace(self, ref: Ref, record: Record, manifest: Object, owners: list[Owned], dry_run: bool) -> Record:
        owners = [owner for owner in owners if owner.paths]
        before = {(owner.manager, owner.operation): owner.paths for owner in record.owners if owner.paths}
        if manifest == record.manifest and before == {(o.manager, o.operation): o.paths for o in owners}:
            return record
        self._refuse(ref, manifest, record.manifest)
        manifest = self.admission.allocate(self._cluster, ref, manifest, record.manifest, dry_run=dry_run)
        metadata = {**manifest["metadata"], "resourceVersion": str(self._version + 1)}
        if manifest.get("spec") != record.manifest.get("spec"):
            metadata["generation"] = record.manifest["metadata"].get("generation", 1) + 1
        result = Record({**manifest, "metadata": metadata}, owners, record.born)
        if not dry_run:
            self._stir(ref, manifest)
            self._records.put(ref, result)
        return result

    def _refuse(self, ref: Ref, manifest: Object, before: Object | None) -> None:
        if self.no_external_ips and ref.kind == SERVICE:
            refuse_external_ips(self._cluster, manifest, before)

    def _stir(self, ref: Ref, manifest: Object) -> None:
        self._version += 1
        self.secrets += ref.kind == SECRET
        if ref.kind == SERVICE and (manifest.get("spec") or {}).get("type") == "LoadBalancer":
            self._stirred += 1
        # Most secrets in a large mesh are remote secrets, from which nothing follows in their own cluster.
        if ref.kind.resource in _STIRRING and not (ref.kind == SECRET and "istio/multiCluster" in _labels(manifest)):
            self._stirred += 1

    def _stamp(self) -> str:
        return self._clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _labels(manifest: Object) -> dict[str, str]:
    labels: dict[str, str] = manifest["metadata"].get("labels") or {}
    return labels


def _conflict(cluster: str, ref: Ref, contested: dict[fields.Path, str]) -> Conflicting:
    owners = {fields.spelled(path): manager for path, manager in sorted(contested.items())}
    told = (msg("{field} (by {manager})", field=path, manager=manager) for path, manager in owners.items())
    what = msg(
        "{cluster}: {request}: others own {fields}",
        cluster=cluster,
        request=request("apply", str(ref)),
        fields=joined(told, ", "),
    )
    return Conflicting(what, msg("Agree with them who sets it."), owners)
