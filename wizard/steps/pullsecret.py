"""The Secret with which images are pulled from a private registry: in istio-system for Istio, in the sample's namespace for
the sample. Its content is made of the person's file, or was put there by somebody; it is shown nowhere.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from wizard import kinds
from wizard.clusters.kinds import SECRET, Object, Ref
from wizard.clusters.port import Cluster, Right
from wizard.clusters.typed import kubectl
from wizard.credentials import hold_docker
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Probe
from wizard.errors import Failed, Mistake
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import msg
from wizard.objects.placing import put, take_back
from wizard.reading import read
from wizard.steps.declared import Declared
from wizard.text import one_line, quoted
from wizard.world import World

KIND = "kubernetes.io/dockerconfigjson"
KEY = ".dockerconfigjson"
MAX_BYTES = 1 << 20


def file_mistakes(mesh: Mesh) -> tuple[Mistake, ...]:
    """What keeps istio.pullSecretFile from being used; empty where nothing does, or where none is given."""
    path = mesh.istio.pull_secret_file
    if path is None:
        return ()
    try:
        _content(path)
    except Failed as failure:
        return (Mistake("istio.pullSecretFile", failure.what),)
    return ()


class PullSecret(Declared):
    """The pull secret in istio-system: made of the person's file, or there already."""

    kind = kinds.PULL_SECRET
    rights = (Right("create", SECRET, SYSTEM_NAMESPACE), Right("patch", SECRET, SYSTEM_NAMESPACE))

    def __init__(self, mesh: Mesh, cluster: model.Cluster) -> None:
        super().__init__(msg("Pull secret"), mesh, cluster, needs=(kinds.NAMESPACE.id(cluster.name),))
        self.ref = Ref(SECRET, str(mesh.istio.pull_secret), SYSTEM_NAMESPACE)

    def manifests(self) -> list[Object]:
        path = self.mesh.istio.pull_secret_file
        return [_manifest(self.ref, base64.b64encode(_content(path)).decode())] if path else []

    def wanted(self) -> object:
        return {"name": self.ref.name, "file": str(self.mesh.istio.pull_secret_file)}

    def probe(self, world: World) -> Probe:
        if self.mesh.istio.pull_secret_file is not None:
            return super().probe(world)
        found = world.cluster(self.cluster).get(self.ref)
        if found is not None and found.get("type") == KIND:
            return Done()
        place, ref = self.cluster, str(self.ref)
        what = msg("{cluster}: {secret} is not there, and istio.pullSecretFile is not given", cluster=place, secret=ref)
        if found:
            what = msg(
                "{cluster}: {secret} is no {type}, and istio.pullSecretFile is not given",
                cluster=place, secret=ref, type=KIND,
            )  # fmt: skip
        make = f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} create secret docker-registry {self.ref.name}"
        return Conflict(what, msg("Make it: {command} …, or give its content in istio.pullSecretFile.", command=make))

    def undo(self, world: World, job: Job) -> None:
        take_back(world.cluster(self.cluster), self.ref, self.mesh.name, job)

    def commands(self) -> list[Command]:
        path = self.mesh.istio.pull_secret_file
        if path is None:
            return []
        tool = kubectl(self.member)
        return [
            Command(
                f"{tool} create secret generic {quoted(self.ref.name)} -n {SYSTEM_NAMESPACE} --type={KIND} "
                f"--from-file={KEY}={quoted(path)} --dry-run=client -o yaml |\n  {tool} apply --server-side -f -",
                msg("The credentials of the private registry."),
            )
        ]


def differences(cluster: Cluster, mesh: Mesh, namespace: str) -> list[Difference]:
    """Where the copy of the pull secret in this namespace differs from the one in istio-system; empty without one."""
    if not mesh.istio.pull_secret:
        return []
    ref = Ref(SECRET, mesh.istio.pull_secret, namespace)
    found, wanted = cluster.get(ref), cluster.get(Ref(SECRET, mesh.istio.pull_secret, SYSTEM_NAMESPACE))
    if found is None:
        return [Difference(str(ref), "", None, msg("to be made"))]
    same = (found.get("data") or {}).get(KEY) == ((wanted or {}).get("data") or {}).get(KEY)
    if same:
        return []
    return [Difference(str(ref), KEY, msg("other content"), msg("that in {namespace}", namespace=SYSTEM_NAMESPACE))]


def copy(cluster: Cluster, mesh: Mesh, namespace: str) -> None:
    """Put a copy of the pull secret into this namespace, where the mesh has one and it is not there yet."""
    if not mesh.istio.pull_secret:
        return
    source = cluster.get(Ref(SECRET, mesh.istio.pull_secret, SYSTEM_NAMESPACE))
    content = ((source or {}).get("data") or {}).get(KEY)
    if not content:
        raise Failed(
            msg(
                "{cluster}: Secret {name} in {namespace} is gone",
                cluster=cluster.name,
                name=mesh.istio.pull_secret,
                namespace=SYSTEM_NAMESPACE,
            ),
            msg("Apply again."),
        )
    if differences(cluster, mesh, namespace):
        put(cluster, _manifest(Ref(SECRET, mesh.istio.pull_secret, namespace), content), mesh.name)


def _manifest(ref: Ref, content: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "type": KIND,
        "data": {KEY: content},
    }


def _content(path: Path) -> bytes:
    """The file's bytes. Failed where it cannot be read or is no Docker configuration with credentials in it."""
    try:
        content = read(path, MAX_BYTES)
    except ValueError as error:
        what = msg("{file} {problem}", file=one_line(path), problem=error.args[0])
        raise Failed(what, msg("Give another file.")) from error
    hold_docker(content)
    try:
        auths = json.loads(content)["auths"]
    except (ValueError, KeyError, TypeError, RecursionError):
        auths = None
    if not isinstance(auths, dict) or not auths:
        raise Failed(
            msg("{file} is no Docker config.json with credentials: it has no entries under auths", file=one_line(path)),
            msg(
                "`docker login` with a credential helper keeps them elsewhere; log in without one, or make the Secret by hand."
            ),
        )
    return content
