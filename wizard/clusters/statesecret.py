"""The state of a mesh kept in a cluster, as a Secret, so that another machine can go on with it.

One Secret `meshwizard-state-NAME` holds what the folder of a mesh holds here: the newest state and the generations before it,
with the same checksums. It is created, or replaced as it was last seen, and never otherwise: who lost a race is told, and
has changed nothing. No credential is in it; it is a Secret because fewer people may read those.
"""

from __future__ import annotations

import binascii
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from state import StateError, StateWriteFailed
from wizard.clusters.kinds import NAMESPACE, SECRET, Object, Ref
from wizard.clusters.port import MANAGER, Cluster, Outdated
from wizard.clusters.typed import kubectl
from wizard.errors import BadInput, Failed, NotAllowed
from wizard.messages import msg
from wizard.text import one_line, quoted

T = TypeVar("T")

TYPE = "meshwizard/state"
LABEL = "meshwizard/state"  # its value is the mesh's name
WRITER = "meshwizard/writer"  # an annotation: the run that wrote last. Two may record the very same at the same moment
# The API server takes 1 MiB of data; the newest state of 50 clusters is some 200 kB.
LIMIT = 1_000_000
FORM = "cluster://CONTEXT/NAMESPACE"
_SCHEME = "cluster://"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_GENERATION = re.compile(r".*\.(\d+)")


def parsed(place: str) -> tuple[str, str]:
    """Context and namespace of `cluster://CONTEXT/NAMESPACE`. A context may hold slashes itself. Raises BadInput."""
    context, _, namespace = place.removeprefix(_SCHEME).rpartition("/")
    if not place.startswith(_SCHEME) or not context or not _NAMESPACE.fullmatch(namespace):
        raise BadInput(
            msg("--state {place} does not say where the state is", place=one_line(place, 200)),
            msg(
                "Write {form}: a context of your kubeconfig and a namespace there. A folder is given with --state-dir.",
                form=FORM,
            ),
        )
    return context, namespace


def secret_name(mesh: str) -> str:
    """The name of the Secret that holds this mesh's state, and of the Lease of who writes it."""
    return f"meshwizard-state-{mesh}"


class StateSecrets:
    """The states in one namespace of one cluster. Implements `state.medium.Shelf`; asks nothing before it is used."""

    def __init__(self, cluster: Cluster, context: str, namespace: str, kubeconfig: Path | None = None) -> None:
        """`kubeconfig`: of the context, where it is not in the one that kubectl would use; for sentences."""
        self.cluster = cluster
        self.namespace = namespace
        self.place = f"{_SCHEME}{context}/{namespace}"
        self.context = context
        self.kubeconfig = kubeconfig

    def names(self) -> list[str]:
        """The meshes whose Secret is there. Raises StateError."""
        selector = f"app.kubernetes.io/managed-by={MANAGER},{LABEL}"
        found = _asked(lambda: self.cluster.objects(SECRET, self.namespace, selector))
        if not found:
            self.require_namespace()
        meshes = {
            item["metadata"]["name"]: (item["metadata"].get("labels") or {}).get(LABEL, "")
            for item in found
            if item.get("type") == TYPE
        }
        return sorted(mesh for name, mesh in meshes.items() if name == secret_name(mesh))

    def medium(self, mesh: str) -> SecretMedium:
        """The Secret of this mesh as it is now. Raises StateError."""
        return SecretMedium(self, mesh)

    def require_namespace(self) -> None:
        """Raises StateError where the namespace is not there: it is not ours to make."""
        try:
            found = _asked(lambda: self.cluster.get(Ref(NAMESPACE, self.namespace)))
        except StateError as error:
            if isinstance(error.__cause__, NotAllowed):
                return  # who may only work inside a namespace cannot look
            raise
        if found is None:
            raise StateError(
                msg(
                    "There is no namespace {namespace} in the cluster of context {context}.",
                    namespace=self.namespace,
                    context=one_line(self.context),
                ),
                msg("Make it: {command}", command=f"{kubectl(self)} create namespace {quoted(self.namespace)}"),
            )

    def close(self) -> None:
        """Give up the connection."""
        self.cluster.close()


class SecretMedium:
    """One mesh's Secret, as it was when this was made. Implements `state.medium.Medium`: what is moved and removed is written
    with the next `replace` or `flush`, in one request. Not thread-safe: the journal's writer is alone with it.
    """

    def __init__(self, shelf: StateSecrets, mesh: str) -> None:
        self._shelf = shelf
        self._mesh = mesh
        self._ref = Ref(SECRET, secret_name(mesh), shelf.namespace)
        self._live: Object | None = None
        self._files: dict[str, bytes] = {}
        self._writer = secrets.token_hex(8)
        self._sure = False  # whether what we know is what is there, as far as we can tell without asking
        self._load()
        if self._live is None:
            shelf.require_namespace()

    def label(self, name: str = "") -> str:
        secret, place = self._ref.name, self._shelf.place
        if not name:
            return msg("Secret {secret} in {place}", secret=secret, place=place)
        return msg("{file} of Secret {secret} in {place}", file=name, secret=secret, place=place)

    def names(self) -> list[str]:
        return list(self._files)

    def stamp(self, name: str) -> str | None:
        if not self._sure:
            self._load()
        return str(self._live["metadata"]["resourceVersion"]) if self._live and name in self._files else None

    def read(self, name: str, limit: int) -> bytes | None:
        data = self._files.get(name)
        return None if data is None else data[: limit + 1]

    def replace(self, name: str, data: bytes, keep: int) -> None:
        files = dict(self._files)
        for number in range(keep, 0, -1):
            younger = f"{name}.{number - 1}" if number > 1 else name
            if younger in files:
                files[f"{name}.{number}"] = files[younger]
        files[name] = data
        self._write(_fitting(files, name, self._mesh))

    def link(self, name: str, second: str) -> bool:
        self._files[second] = self._files[name]
        return True

    def move(self, old: str, new: str) -> None:
        self._files[new] = self._files.pop(old)

    def remove(self, name: str) -> None:
        self._files.pop(name, None)

    def sweep(self) -> None:
        """A Secret is written whole: nothing is left by halves."""

    def flush(self) -> None:
        if self._files:
            self._write(self._files)
        elif self._live is not None:
            metadata = self._live["metadata"]
            self._change(
                lambda: self._shelf.cluster.delete(self._ref, uid=metadata["uid"], version=metadata["resourceVersion"])
            )
            self._live = None

    def close(self) -> None:
        """The connection is the shelf's."""

    def _load(self) -> None:
        live = _asked(lambda: self._shelf.cluster.get(self._ref))
        if live is not None and live.get("type") != TYPE:
            raise StateError(
                msg("{secret} is not a state of meshwizard; it is not used.", secret=self.label()),
                msg("Choose another namespace with --state."),
            )
        self._live = live
        self._files = {name: _decoded(text) for name, text in ((live or {}).get("data") or {}).items()}
        self._sure = True

    def _write(self, files: dict[str, bytes]) -> None:
        cluster, live = self._shelf.cluster, self._live
        metadata = live["metadata"] if live else self._metadata()
        manifest: Object = {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), WRITER: self._writer}},
            "type": TYPE,
            "data": {name: b64encode(data).decode() for name, data in files.items()},
        }
        written = self._change(lambda: cluster.replace(manifest) if live else cluster.create(manifest), files)
        if written is not None:
            self._live, self._files = written, dict(files)

    def _change(self, write: Callable[[], T], files: dict[str, bytes] | None = None) -> T | None:
        """The result of a request that writes; None where one whose answer was lost had made it so already."""
        self._sure = False
        try:
            done = write()
        except Outdated as outdated:
            self._load()
            if files is not None and self._files == files and self._is_ours():
                return None
            raise StateError(
                msg(
                    "{secret} was changed by somebody else meanwhile; nothing of this run was written over it.",
                    secret=self.label(),
                ),
                msg("Make sure that no other run works on this mesh, then run the same command again."),
            ) from outdated
        except Failed as failure:
            raise StateWriteFailed(
                msg("The state could not be written to {secret}: {problem}", secret=self.label(), problem=failure.what),
                failure.remedy,
            ) from failure
        self._sure = True
        return done

    def _is_ours(self) -> bool:
        written = (self._live or {"metadata": {}})["metadata"]
        return (written.get("annotations") or {}).get(WRITER) == self._writer

    def _metadata(self) -> Object:
        labels = {"app.kubernetes.io/managed-by": MANAGER, LABEL: self._mesh}
        return {"name": self._ref.name, "namespace": self._ref.namespace, "labels": labels}


def _fitting(files: dict[str, bytes], newest: str, mesh: str) -> dict[str, bytes]:
    """As many of the files as a Secret holds: the newest state always, what is oldest goes first."""
    if len(files[newest]) > LIMIT:
        raise StateWriteFailed(
            msg(
                "The state of {mesh} is {size} bytes, more than the {limit} that a Secret holds.",
                mesh=mesh,
                size=len(files[newest]),
                limit=LIMIT,
            ),
            msg("Keep it in a folder: run the same command without --state."),
        )
    kept = dict(files)
    for name in sorted(files, key=_age, reverse=True):
        if sum(map(len, kept.values())) <= LIMIT:
            break
        if name != newest:
            del kept[name]
    return kept


def _age(name: str) -> tuple[int, str]:
    """Generations by their number; what was put aside lies between the first of them and the others."""
    found = _GENERATION.fullmatch(name)
    if "quarantined" in name or "schema" in name:
        return 1, name
    return (2 * int(found[1]) - 1 if found else 0), name


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text)
    except binascii.Error:
        return b""  # damaged, as any other that makes no sense


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except Failed as failure:
        raise StateError(msg("The state cannot be read: {problem}", problem=failure.what), failure.remedy) from failure
