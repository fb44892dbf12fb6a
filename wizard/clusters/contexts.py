"""Kubeconfig contexts as a person chooses among them: what the file says, and what a live look found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wizard.messages import msg

if TYPE_CHECKING:
    from wizard.clusters.plugin import Plugin

SIMULATED_KUBECONFIG = Path("(simulated)") / "kubeconfig"  # of the demo's contexts: there is no such file

ENVIRONMENT = msg("the files of $KUBECONFIG together")  # where a context is that none of them holds whole


@dataclass(frozen=True)
class ContextEntry:
    """One context as its kubeconfig tells it, without asking the cluster. Texts are printable."""

    context: str
    kubeconfig: Path | None  # None: kubectl's own files, which it takes only together
    server: str
    user: str
    credentials: str  # what kind: "client certificate", "token", "runs COMMAND", ...
    current: bool = False
    problem: str = ""  # why kubectl and istioctl would not use it, with where it stands; empty: it can be asked
    plugin: Plugin | None = None  # what it runs for credentials, and only once the person chose it or agreed to that


@dataclass(frozen=True)
class ContextFacts:
    """What a live look at one context found. Texts are printable."""

    reachable: bool
    problem: str = ""  # why not reachable or not usable, with what to do
    uid: str = ""  # of kube-system: two contexts with the same are one cluster
    version: str = ""
    nodes: int = 0
    ready_nodes: int = 0
    addresses: tuple[str, ...] = ()  # InternalIPs of ready nodes
    missing_rights: tuple[str, ...] = ()
    istio: str = ""  # empty: none found
    clock_offset: float | None = None  # seconds that the cluster is ahead of this machine, within a second or so
    node_ports: frozenset[int] = frozenset()  # in use, by Services other than our gateway
    load_balancer: str = ""  # a Service that one has given an address, and which; empty: none seen
