"""The real outside: this machine's kubeconfigs, the clusters they lead to, the istioctl on its PATH."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from wizard.certificates.rootstore import RootFolder, default_place
from wizard.clusters.consents import Consents
from wizard.clusters.kubeconfig import entries, missing_contexts
from wizard.clusters.kubeconfig_read import default_files, files_of, found_in
from wizard.clusters.patience import HURRIED
from wizard.clusters.plugin import Plugin, plugin_of
from wizard.clusters.port import Cluster
from wizard.clusters.real import RealCluster
from wizard.errors import BadInput, Mistake, Trouble
from wizard.facts import facts_of
from wizard.istio.istioctl import RealIstioctl
from wizard.istio.versions import unsupported
from wizard.mesh.model import Mesh
from wizard.messages import msg
from wizard.outside import ContextEntry, ContextFacts, IstioctlFound
from wizard.text import one_line
from wizard.world import World


class RealOutside:
    """Implements `wizard.outside.Outside`."""

    simulated = False

    def __init__(
        self, istioctl: str | None = None, kubeconfigs: Sequence[Path] = (), consents: Consents | None = None
    ) -> None:
        """`istioctl`: the binary that the person named; otherwise the first on the PATH. `kubeconfigs`: the files to
        look for contexts in; otherwise those that kubectl would use. `consents`: what the person agreed to.
        """
        self._istioctl = istioctl
        self._kubeconfigs = kubeconfigs
        self._consents = consents or Consents()

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return [
            replace(entry, plugin=None) if entry.plugin and self._consents.may_run(entry.plugin) else entry
            for entry in entries(kubeconfigs or self._kubeconfigs)
        ]

    def agree(self, entries: Sequence[ContextEntry]) -> None:
        self._consents.agree([entry.plugin for entry in entries if entry.plugin])

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        return missing_contexts(mesh, usable=not looking)

    def facts(self, entry: ContextEntry) -> ContextFacts:
        if entry.problem:
            return ContextFacts(reachable=False, problem=entry.problem)
        if entry.plugin and not self._consents.may_run(entry.plugin):
            return ContextFacts(
                False,
                problem=msg(
                    "it runs {program} for credentials, and nobody agreed to that yet", program=str(entry.plugin)
                ),
            )
        cluster = RealCluster(entry.context, entry.kubeconfig, entry.context, HURRIED)
        try:
            return facts_of(cluster)
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

    def cluster(self, name: str, context: str) -> Cluster:
        for entry in self.contexts():
            if entry.context == context:
                return RealCluster(name, entry.kubeconfig, context)
        raise BadInput(
            msg("there is no context {context} in the kubeconfigs", context=one_line(context)),
            msg("List them with: {command}", command="kubectl config get-contexts"),
        )

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        named = istioctl or next(iter(self._candidates()), None)
        if named is None:
            raise BadInput(
                msg("no istioctl was found on the PATH"),
                msg("Install the istioctl of the Istio release you want, or name it with --istioctl."),
            )
        path = shutil.which(named)
        if path is None:
            raise BadInput(
                msg("{istioctl} is no program that can be run", istioctl=one_line(named)),
                msg("Name the istioctl with --istioctl."),
            )
        self._consents.refuse_others(self._foreign(mesh))
        clusters = {
            cluster.name: RealCluster(cluster.name, cluster.kubeconfig, cluster.context) for cluster in mesh.clusters
        }
        roots = RootFolder(mesh.certificates.path or default_place(mesh.name))
        return World(clusters=clusters, istioctl=RealIstioctl(str(Path(path).absolute())), roots=roots)

    def _foreign(self, mesh: Mesh) -> dict[str, Plugin]:
        """What the mesh's clusters run for credentials, by name, where neither kubectl nor the command line leads to the file."""
        try:
            own = {*self._kubeconfigs, *default_files()}
        except BadInput:
            own = set(self._kubeconfigs)
        real = {os.path.realpath(path) for path in own}
        found = {}
        for cluster in mesh.clusters:
            if cluster.kubeconfig is None or os.path.realpath(cluster.kubeconfig) in real:
                continue
            context = found_in(files_of(cluster.kubeconfig), cluster.context)
            plugin = plugin_of(context.user.body, context.user.path) if context else None
            if plugin:
                found[cluster.name] = plugin
        return found

    def _candidates(self) -> list[str]:
        if self._istioctl:
            return [self._istioctl]
        folders = dict.fromkeys(os.get_exec_path())
        return [path for folder in folders if (path := shutil.which("istioctl", path=folder))]
