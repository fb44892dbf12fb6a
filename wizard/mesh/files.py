"""The files of this machine that a mesh names, and where what they hold goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wizard.mesh.model import Mesh
from wizard.text import one_line


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


def _files(mesh: Mesh) -> Iterator[NamedFile]:
    istio, certificates = mesh.istio, mesh.certificates
    if istio.pull_secret_file:
        yield NamedFile(
            "istio.pullSecretFile", istio.pull_secret_file, f"sent to every cluster, as Secret {istio.pull_secret}"
        )
    for index, path in enumerate(istio.overlays):
        yield NamedFile(
            f"istio.overlays[{index}]", path, "handed to istioctl, which sends what it asks for to every cluster"
        )
    if certificates.path and certificates.source == "generate":
        yield NamedFile(
            "certificates.path", certificates.path, "where the root's key is kept; it signs, and is not sent"
        )
    elif certificates.path:
        yield NamedFile(
            "certificates.path", certificates.path, "sent: CLUSTER/ca-key.pem and its certificates, to that cluster"
        )
