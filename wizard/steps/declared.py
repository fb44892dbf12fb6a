"""Steps that make objects by server-side apply: the manifests are declared, everything else follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wizard import yamltext
from wizard.clusters.kinds import SECRET, Object, Ref, ref_of
from wizard.clusters.namespaces import going
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.mesh import model
from wizard.messages import joined, msg
from wizard.objects.ownership import (
    differences,
    is_ours,
    of_another,
)
from wizard.objects.placing import await_ended, put_missing, take_back
from wizard.objects.pods import is_going
from wizard.text import here_document, listing
from wizard.world import World


class Declared(Step):
    """A step whose whole work is to make some objects stand as declared.

    An object that was there before us is joined only where none of our fields is set otherwise by somebody else;
    else it is a conflict that names the owner. What we made ourselves and somebody changed is mended. In a mesh that others made
    none is joined.
    """

    def __init__(
        self, title: str, mesh: model.Mesh, cluster: model.Cluster, *,
        needs: tuple[str, ...] = (), joins: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """`mesh`: whose objects they are. `needs`, `joins`: as `Step` says."""
        super().__init__(title, cluster=cluster.name, needs=needs, joins=joins)
        self.mesh = mesh
        self.member = cluster

    def manifests(self) -> list[Object]:
        """The objects, in the order in which they are made."""
        raise NotImplementedError

    def wanted(self) -> Any:
        return self.manifests()

    def probe(self, world: World) -> Probe:
        cluster = world.cluster(self.cluster)
        needed: list[Difference] = []
        for manifest in self.manifests():
            live = cluster.get(ref_of(manifest))
            if live is not None and is_going(live):
                ending = going(live)
                needed.append(_ending(ref_of(manifest), ending.what if ending else msg("being deleted")))
                live = None
            found = differences(str(ref_of(manifest)), manifest, live, secret=manifest["kind"] == "Secret")
            conflict = self._conflict(manifest, live, found)
            if conflict:
                return conflict
            needed += found
        return Needed(tuple(needed)) if needed else Done()

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        for manifest in self.manifests():
            job.check()
            await_ended(cluster, ref_of(manifest), job)
            put_missing(cluster, manifest, self.mesh.name)
        self.settle(world, job)

    def settle(self, world: World, job: Job) -> None:
        """Wait until what was made works. By default it does at once."""

    def undo(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)
        for manifest in reversed(self.manifests()):
            take_back(cluster, ref_of(manifest), self.mesh.name, job)

    def commands(self) -> list[Command]:
        return [Command(kubectl_apply(self.member, self.manifests()), self.title)]

    def _conflict(self, manifest: Object, live: Object | None, found: Sequence[Difference]) -> Conflict | None:
        if live is None or is_ours(live):
            return of_another(self.member.name, live, self.mesh.name)
        # Nothing is added to what others made of a mesh that is theirs.
        others = [difference for difference in found if self.mesh.adopted or difference.found is not None]
        if not others:
            return None
        by = listing(sorted({difference.by for difference in others if difference.by})) or msg("somebody else")
        return Conflict(
            msg(
                "{object} is there already and set otherwise by {owner}: {differences}",
                object=str(ref_of(manifest)),
                owner=by,
                differences=joined((each.told for each in others[:3]), "; "),
            ),
            msg("Change the mesh file to match it, or change it there."),
        )


def _ending(ref: Ref, what: str) -> Difference:
    return Difference(str(ref), "", what, msg("gone, and made anew"), transient=True)


def kubectl_apply(cluster: model.Cluster, manifests: Sequence[Object]) -> str:
    """The command that applies these manifests, as a here-document. Never for a Secret: its content is nobody's to copy."""
    if any(manifest["kind"] == SECRET.kind for manifest in manifests):
        raise ValueError("a Secret is not shown")
    text = yamltext.dump(*manifests)
    return here_document(f"{kubectl(cluster)} apply --server-side -f -", text)
