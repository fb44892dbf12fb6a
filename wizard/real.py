"""The real outside: this machine's kubeconfigs, the clusters they lead to, the istioctl on its PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from wizard.certificates.rootstore import RootFolder, default_place
from wizard.clusters.kinds import CONFIG_MAP, DEPLOYMENT, NODE, Ref
from wizard.clusters.kubeconfig import entries
from wizard.clusters.port import Cluster
from wizard.clusters.real import RealCluster
from wizard.engine.step import World
from wizard.errors import BadInput, Trouble
from wizard.istio.istioctl import RealIstioctl
from wizard.istio.versions import unsupported
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.outside import ContextEntry, ContextFacts, IstioctlFound
from wizard.preflight import RIGHTS, clock_offset, is_ready, node_addresses, used_node_ports
from wizard.steps.ownership import MESH, annotation
from wizard.text import one_line


class RealOutside:
    """Implements `wizard.outside.Outside`."""

    simulated = False

    def __init__(self, istioctl: str | None = None) -> None:
        """`istioctl`: the binary that the person named; otherwise the first on the PATH."""
        self._istioctl = istioctl

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return entries(kubeconfigs)

    def facts(self, entry: ContextEntry) -> ContextFacts:
        cluster = RealCluster(entry.context, entry.kubeconfig, entry.context)
        try:
            return _facts(cluster)
        except Trouble as trouble:
            return ContextFacts(reachable=False, problem=" ".join([trouble.what, trouble.remedy]).strip())
        finally:
            cluster.close()

    def istioctls(self) -> list[IstioctlFound]:
        found = []
        for path in self._candidates():
            try:
                version = RealIstioctl(path).version()
            except Trouble as trouble:
                found.append(IstioctlFound(path, problem=trouble.what))
                continue
            found.append(IstioctlFound(path, one_line(version), unsupported(version) or ""))
        return found

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        named = istioctl or next(iter(self._candidates()), None)
        if named is None:
            raise BadInput(
                "no istioctl was found on the PATH",
                "Install the istioctl of the Istio release you want, or name it with --istioctl.",
            )
        path = shutil.which(named)
        if path is None:
            raise BadInput(f"{one_line(named)} is no program that can be run", "Name the istioctl with --istioctl.")
        clusters = {
            cluster.name: RealCluster(cluster.name, cluster.kubeconfig, cluster.context) for cluster in mesh.clusters
        }
        roots = RootFolder(mesh.certificates.path or default_place(mesh.name))
        return World(clusters=clusters, istioctl=RealIstioctl(str(Path(path).absolute())), roots=roots)

    def _candidates(self) -> list[str]:
        if self._istioctl:
            return [self._istioctl]
        folders = dict.fromkeys(os.get_exec_path())
        return [path for folder in folders if (path := shutil.which("istioctl", path=folder))]


def _facts(cluster: Cluster) -> ContextFacts:
    version = cluster.version()
    nodes = cluster.objects(NODE)
    return ContextFacts(
        reachable=True,
        uid=cluster.identity(),
        version=version.git,
        nodes=len(nodes),
        ready_nodes=sum(1 for node in nodes if is_ready(node)),
        addresses=tuple(one_line(address) for address in node_addresses(cluster)),
        missing_rights=tuple(str(right) for right in cluster.denied(RIGHTS)),
        istio=_istio(cluster),
        clock_offset=clock_offset(version),
        node_ports=frozenset(used_node_ports(cluster)),
    )


def _istio(cluster: Cluster) -> str:
    """What Istio stands there, as a few words; empty where none does."""
    record = cluster.get(Ref(CONFIG_MAP, "meshwizard", SYSTEM_NAMESPACE))
    mesh = annotation(record, MESH)
    istiods = cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod")
    if not istiods:
        return ""
    containers = istiods[0]["spec"]["template"]["spec"]["containers"]
    version = one_line(str(containers[0].get("image", "")).rpartition(":")[2], 30)
    return f"{version}, mesh {one_line(mesh, 63)}" if mesh else f"{version}, not by meshwizard"
