"""What a check of a standing mesh is, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Literal, get_args

from wizard.checks.finding import Finding, Pair, Severity
from wizard.checks.standing.view import Here

# From what everything stands on to what stands on everything: the first layer that is broken has the cause.
Layer = Literal[
    "cluster", "control-plane", "trust", "discovery", "network", "gateway", "workload", "data-path"
]  # fmt: skip
LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `text`: the sentence, which names the object and the cluster; `object`: the object, as
    `str(Ref)` tells it; `breaks`: the traffic that cannot pass because of it, none: it breaks nothing by itself, or not yet.
    The rest is as `Finding` says. `severity`: None where it is the check's own.
    """

    text: str
    object: str
    _: KW_ONLY
    short: str = ""
    evidence: tuple[str, ...] = ()
    remedy: str = ""
    commands: tuple[str, ...] = ()
    step: str | None = None
    breaks: tuple[Pair, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True)
class Check:
    """`id`: its stable name, that of its page in docs/checks; `severity`: the worst that it finds, and what a fault is that
    says nothing else; `short`: the cause in a few words, where a fault says nothing else. `find` is called for each cluster of
    the mesh, in parallel with all others; it yields what is wrong *there*, reads through the view alone, and may raise Trouble
    where it cannot look, which the diagnosis tells.

    `reads`, `means`, `arises` and `mend` are its page, in plain English and Markdown: what it looks at, what a finding means, how
    it comes about, how to mend it.
    """

    id: str
    layer: Layer
    severity: Severity
    find: Callable[[Here], Iterable[Fault]]
    _: KW_ONLY
    short: str
    title: str
    reads: str
    means: str
    arises: str
    mend: str
    follows: bool = False  # what it finds may follow from what others of its layer find, which are named before it

    def finding(self, fault: Fault, cluster: str) -> Finding:
        """This fault as a finding of the check."""
        return Finding(
            fault.severity or self.severity,
            fault.text,
            fault.remedy,
            check=self.id,
            cluster=cluster,
            layer=self.layer,
            object=fault.object,
            short=fault.short or self.short,
            evidence=fault.evidence,
            commands=fault.commands,
            step=fault.step,
            breaks=fault.breaks,
        )
