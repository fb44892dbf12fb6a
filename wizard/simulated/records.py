"""The stored objects of one simulated cluster, by kind and place, with how often those of each kind changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

from wizard.clusters.kinds import Kind, Object, Ref
from wizard.simulated import fields

Place = tuple[str, str]  # namespace, empty where the kind has none, and name


@dataclass
class Owned:
    """What one manager owns of an object."""

    manager: str
    operation: str  # Apply or Update
    paths: frozenset[fields.Path]
    at: str


@dataclass
class Record:
    """One stored object. `manifest` is never changed in place."""

    manifest: Object
    owners: list[Owned]
    born: float  # monotonic; what depends on age asks this, not the settable clock
    shown: bytes = b""  # frozen

    def show(self) -> Object:
        """A copy as the API server gives it, with managedFields."""
        if not self.shown:
            entries = [
                {
                    "manager": owner.manager,
                    "operation": owner.operation,
                    "apiVersion": self.manifest["apiVersion"],
                    "time": owner.at,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": fields.as_fields_v1(owner.paths),
                }
                for owner in self.owners
                if owner.paths
            ]
            shown = {**self.manifest, "metadata": {**self.manifest["metadata"], "managedFields": entries}}
            self.shown = fields.frozen(shown)
        copy: Object = fields.thawed(self.shown)
        return copy


class Records:
    """By resource, not by kind: all versions of a kind show the same objects."""

    def __init__(self) -> None:
        self._records: dict[str, dict[Place, Record]] = {}
        self._kinds: dict[str, Kind] = {}
        self._changes: dict[str, int] = {}  # resource → how often a record of it came, went or was replaced
        self._listed: dict[str, tuple[int, list[tuple[Place, Record]]]] = {}  # in order, as of that change

    def changes(self, kind: Kind) -> int:
        """How often a record of this kind came, went or was replaced."""
        return self._changes.get(kind.resource, 0)

    def get(self, ref: Ref) -> Record | None:
        """The record at this address."""
        return self._records.get(ref.kind.resource, {}).get(_place(ref))

    def ordered(self, resource: str) -> list[tuple[Place, Record]]:
        """All records of a kind with their places, in the order of these; not to be changed."""
        changes = self._changes.get(resource, 0)
        known = self._listed.get(resource)
        if known is None or known[0] != changes:
            # Copied at once: the istiod of another machine looks into this store while it changes.
            records = list(self._records.get(resource, {}).items())
            known = self._listed[resource] = changes, sorted(records, key=itemgetter(0))
        return known[1]

    def where(self, wanted: Callable[[Kind, Place, Record], bool]) -> list[Ref]:
        """The addresses of all records that are wanted, whatever their kind."""
        return [
            Ref(kind, key[1], key[0])
            for resource, kind in self._kinds.items()
            for key, record in self._records.get(resource, {}).items()
            if wanted(kind, key, record)
        ]

    def put(self, ref: Ref, record: Record) -> None:
        """Keep this record at the address, in the place of the one before."""
        self._kinds[ref.kind.resource] = ref.kind
        self._records.setdefault(ref.kind.resource, {})[_place(ref)] = record
        self._changed(ref.kind.resource)

    def pop(self, ref: Ref) -> Record | None:
        """Take the record away; None where there is none."""
        record = self._records.get(ref.kind.resource, {}).pop(_place(ref), None)
        if record is not None:
            self._changed(ref.kind.resource)
        return record

    def _changed(self, resource: str) -> None:
        """To be called after the change: who lists meanwhile must not keep what was before."""
        self._changes[resource] = self._changes.get(resource, 0) + 1


def _place(ref: Ref) -> Place:
    return ref.namespace if ref.kind.namespaced else "", ref.name
