"""The files of this machine that a mesh names, and where what they hold goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.mesh.model import Cluster, Mesh
from wizard.text import listing, one_line


@dataclass(frozen=True)
class NamedFile:
    """`field`: of the mesh file. `use`: completes "what it holds is …"."""

    field: str
    path: Path
    use: str

    def __str__(self) -> str:
        return f"{one_line(self.path)} ({self.field}) is {self.use}"


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
        yield NamedFile(
            "istio.pullSecretFile", istio.pull_secret_file, f"sent to every cluster, as Secret {istio.pull_secret}"
        )
    for place, path, clusters in overlay_files(mesh):
        whose = "every cluster" if clusters == mesh.clusters else listing(each.name for each in clusters)
        yield NamedFile(place, path, f"handed to istioctl, which sends what it asks for to {whose}")
    if certificates.path and certificates.source == "generate":
        yield NamedFile(
            "certificates.path", certificates.path, "where the root's key is kept; it signs, and is not sent"
        )
    elif certificates.path:
        yield NamedFile(
            "certificates.path", certificates.path, "sent: CLUSTER/ca-key.pem and its certificates, to that cluster"
        )
