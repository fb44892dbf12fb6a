"""The files of this machine that a mesh names, and where what they hold goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.mesh.model import Cluster, Mesh
from wizard.messages import msg
from wizard.text import listing, one_line


@dataclass(frozen=True)
class NamedFile:
    """`field`: of the mesh file. `use`: completes "what it holds is …". As text it is `told`."""

    field: str
    path: Path
    use: str

    @property
    def told(self) -> str:
        """Both as a sentence."""
        return msg("{file} ({field}) is {use}", file=one_line(self.path), field=self.field, use=self.use)

    def __str__(self) -> str:
        return str(self.told)


def files_of(mesh: Mesh) -> tuple[NamedFile, ...]:
    """Each file or folder whose content leaves this machine, or signs what does, but for kubeconfigs."""
    return tuple(_files(mesh))


def overlay_files(mesh: Mesh) -> Iterator[tuple[str, Path, tuple[Cluster, ...]]]:
    """(its place in the mesh file, the file, the clusters that it is for) of each overlay, in the order of merging."""
    for index, path in enumerate(mesh.istio.overlays):
        yield f"istio.overlays[{index}]", path, mesh.clusters
    for number, cluster in enumerate(mesh.clusters):
        for index, path in enumerate(cluster.overlays):
            yield f"clusters[{number}].overlays[{index}]", path, (cluster,)


def _files(mesh: Mesh) -> Iterator[NamedFile]:
    istio, certificates = mesh.istio, mesh.certificates
    if istio.pull_secret_file:
        use = msg("sent to every cluster, as Secret {secret}", secret=istio.pull_secret)
        yield NamedFile("istio.pullSecretFile", istio.pull_secret_file, use)
    for place, path, clusters in overlay_files(mesh):
        if clusters == mesh.clusters:
            use = msg("handed to istioctl, which sends what it asks for to every cluster")
        else:
            names = listing(each.name for each in clusters)
            use = msg("handed to istioctl, which sends what it asks for to {clusters}", clusters=names)
        yield NamedFile(place, path, use)
    if certificates.path and certificates.source == "generate":
        use = msg("where the root's key is kept; it signs, and is not sent")
        yield NamedFile("certificates.path", certificates.path, use)
    elif certificates.path:
        use = msg("sent: CLUSTER/ca-key.pem and its certificates, to that cluster")
        yield NamedFile("certificates.path", certificates.path, use)
