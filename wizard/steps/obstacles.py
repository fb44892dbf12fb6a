"""What an install would take from others: it stops there, and a person decides."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.clusters.kinds import Object
from wizard.clusters.port import Cluster
from wizard.clusters.typed import kubectl
from wizard.engine.step import Conflict, Difference
from wizard.istio.operator import OPERATOR_NAME
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import counted, joined, msg
from wizard.objects.installed import RECORD
from wizard.objects.ownership import ISTIO_OWNER, MESH, annotation, label, way_out
from wizard.text import one_line

_SHOWN = 3


def somebody_elses(cluster: Cluster, istiod: Object | None, mesh: str) -> Conflict | None:
    """The conflict where the Istio in this cluster is of another installer, or of another mesh of the wizard's."""
    owner = label(istiod, ISTIO_OWNER)
    if istiod is not None and owner != OPERATOR_NAME:
        by = f"IstioOperator {one_line(owner)}" if owner and owner != "unknown" else msg("another installer")
        return Conflict(
            msg(
                "{cluster}: an Istio installed by {installer} stands in {namespace} already",
                cluster=cluster.name,
                installer=by,
                namespace=SYSTEM_NAMESPACE,
            ),
            msg("Uninstall it first, or leave this cluster out: meshwizard does not overwrite what it did not make."),
        )
    other = annotation(cluster.get(RECORD), MESH)
    if other is not None and other != mesh:
        return Conflict(
            msg("{cluster} belongs to mesh {mesh} already", cluster=cluster.name, mesh=one_line(other)), way_out(other)
        )
    return None


def overwriting(member: model.Cluster, lost: Sequence[Difference]) -> Conflict:
    """The conflict that an install would overwrite these fields, which others set."""
    told = joined((each.told for each in lost[:_SHOWN]), "; ")
    if len(lost) > _SHOWN:
        told = counted("{told}; and {count} more", "{told}; and {count} more", len(lost) - _SHOWN, told=told)
    kind, _, rest = lost[0].object.partition(" ")
    name, _, namespace = rest.partition(" in ")
    edit = f"{kubectl(member)} {f'-n {namespace} ' if namespace else ''}edit {kind.lower()} {name}"
    return Conflict(
        msg(
            "{cluster}: the install would overwrite what others set: {differences}",
            cluster=member.name,
            differences=told,
        ),
        msg(
            "Say the same in an overlay (istio.overlays of the mesh file), so that it stays; or take it back there: {command}",
            command=edit,
        ),
    )
