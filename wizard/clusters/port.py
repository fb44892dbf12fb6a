"""What the steps may ask of a cluster. Two answer: the real API server (`real.py`) and the simulated cluster
(`wizard/simulated`); the contract tests in `tests/contract` hold both to the promises written here.

Every call has a deadline of its own and raises from `wizard.errors`: Unreachable when no answer came (connection refused, reset,
timed out), NotAllowed for 401 and 403 (naming verb and resource), Conflicting for a field owned by someone else,
Failed for any other refusal, with the API server's own sentence made printable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wizard.clusters.kinds import POD, Kind, Object, Ref
from wizard.errors import Failed
from wizard.messages import msg

MANAGER = "meshwizard"  # the field manager of everything the wizard writes itself


class Conflicting(Failed):
    """Server-side apply was refused because other managers own fields; `owners` maps field path to manager."""

    def __init__(self, what: str, remedy: str, owners: dict[str, str]) -> None:
        super().__init__(what, remedy)
        self.owners = owners


class Outdated(Failed):
    """The object is not, or not any more, as the caller knows it: it exists already, has changed since, or is gone. Nothing was
    written; read it again.
    """


@dataclass(frozen=True)
class ServerVersion:
    """What an API server says of itself."""

    git: str  # v1.34.4
    major: int
    minor: int
    date: datetime | None  # the API server's clock, one second fine, from the answer's Date header
    round_trip: float  # seconds the answer took: the clock's uncertainty


@dataclass(frozen=True)
class Right:
    """One thing a user may or may not do."""

    verb: str
    kind: Kind
    namespace: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        what = f"{self.kind.resource}/{self.subresource}" if self.subresource else self.kind.resource
        if not self.namespace:
            return f"{self.verb} {what}"
        return msg("{verb} {resource} in {namespace}", verb=self.verb, resource=what, namespace=self.namespace)


# To run a command in a Pod, which is a GET over a websocket; Kubernetes 1.35 and later ask for `create` as well.
EXECUTING = (Right("get", POD, subresource="exec"), Right("create", POD, subresource="exec"))


@dataclass(frozen=True)
class Executed:
    """A command that ended in a Pod. `code`: its exit code."""

    stdout: str
    stderr: str
    code: int


class Reads(Protocol):
    """What objects are read from: a cluster, or a look at one."""

    def get(self, ref: Ref) -> Object | None:
        """The object, or None where it (or its kind) does not exist."""
        ...

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        """All objects of the kind, in one namespace or (empty) all, matching the label selector. Empty where the
        cluster does not know the kind. Each has apiVersion and kind set.
        """
        ...


class Cluster(Reads, Protocol):
    """One cluster, reached through one kubeconfig context. Thread-safe.

    What is read or deleted (`get`, `objects`, `delete`) is found whatever version of its group the API server serves it in: in
    that of the `Kind` where it can, else in the one that the API server prefers, and the answer's `apiVersion` says which.
    What is written is written in the manifest's own.
    """

    name: str

    @property
    def server(self) -> str:
        """The API server's address in the kubeconfig."""
        ...

    @property
    def verified(self) -> bool:
        """Whether its certificate is verified. Where it is not, whoever stands in between reads and changes all that is sent."""
        ...

    def version(self) -> ServerVersion:
        """Version and clock of the API server."""
        ...

    def identity(self) -> str:
        """The UID of namespace kube-system: the same for two contexts of one cluster."""
        ...

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        """Server-side apply as manager `meshwizard`: creates it, or sets just the fields given. A field that another
        manager owns with another value raises Conflicting unless `force`.
        """
        ...

    def create(self, manifest: Object) -> Object:
        """Make it; raises Outdated where it exists already."""
        ...

    def replace(self, manifest: Object) -> Object:
        """Put this in place of the whole object, if that is still at the manifest's `metadata.resourceVersion`; raises
        Outdated where it has changed since, or is gone.
        """
        ...

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        """Ask for deletion (background propagation); False where it was gone already. With `uid`, only that very object, with
        `version`, only as it was at that resourceVersion; else Outdated.
        """
        ...

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        """Those of the rights that this user lacks (SelfSubjectAccessReview: creates nothing)."""
        ...

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        """Run a command in a container, at most that long. Output is capped at 1 MiB each. `stdin`: what it may read, for
        what must not stand in its arguments; the end of it is never told, so that a command must know how much to read.
        """
        ...

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        """The last lines that a container printed, printable; empty where there are none. `previous`: of the run before the
        one that is, or will be, the container's current one: the words of one that died.
        """
        ...

    def close(self) -> None:
        """Give up connections and what was held in memory of credentials."""
        ...
