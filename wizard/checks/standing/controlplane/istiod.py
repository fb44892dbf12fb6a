"""Does istiod run, with every replica?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wizard import kinds
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.controlplane import istiod_rights
from wizard.checks.standing.istiods import cut_off, istiod_of, runs_istiod, served_clusters
from wizard.checks.standing.view import Here
from wizard.checks.standing.workloads import Workload
from wizard.clusters.kinds import SECRET, Ref
from wizard.errors import NotAllowed
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import quoted

CACERTS = Ref(SECRET, "cacerts", SYSTEM_NAMESPACE)
# istiod's last words where it cannot work with the certificates that were given to it.
_CERTIFICATES = re.compile(r"istiod CA|root chain|CA bundle|cacerts|signing (?:cert|key)", re.I)


def find(here: Here) -> Iterable[Fault]:
    if not runs_istiod(here):
        return
    ref, live = istiod_of(here)
    told = {"cluster": here.name, "object": str(ref)}
    tool = f"{here.kubectl} -n {SYSTEM_NAMESPACE}"
    if live is None:
        text = msg(
            "{cluster}: {object} is gone: proxies keep what they were told, and whoever restarts gets nothing", **told
        )
        commands = (f"{tool} get deployments -l app=istiod",)
        yield _fault(here, ref, text, commands, step=None if here.view.inferred else kinds.INSTALL.id(here.name))
        return
    workload = Workload(ref, live, ())
    if workload.wanted == 0:
        text = msg(
            "{cluster}: {object} is scaled to 0: proxies keep what they were told, and whoever restarts gets nothing",
            **told,
        )
        yield _fault(here, ref, text, (f"{tool} scale deployment {quoted(ref.name)} --replicas=1",))
    elif workload.ready < workload.wanted:
        yield _unready(here, workload)


def _unready(here: Here, workload: Workload) -> Fault:
    ref = workload.ref
    cause = here.unready(ref)
    why = cause.text if cause else msg("it does not say why")
    told = {
        "cluster": here.name,
        "object": str(ref),
        "wanted": workload.wanted,
        "ready": workload.ready,
        "problem": why,
    }
    tool = f"{here.kubectl} -n {SYSTEM_NAMESPACE}"
    commands = (
        f"{tool} describe deployment {quoted(ref.name)}",
        f"{tool} logs {quoted(f'deployment/{ref.name}')} --tail=50",
    )
    if workload.ready:
        text = msg("{cluster}: {ready} of {wanted} Pods of {object} are Ready: {problem}", **told)
        return _fault(here, ref, text, commands, warning=True)
    text = msg(
        "{cluster}: no Pod of {object} is Ready ({problem}): proxies keep what they were told, and whoever restarts gets nothing",
        **told,
    )
    mended = CACERTS if cause and cause.layer == "crash" and _CERTIFICATES.search(cause.text) else ref
    return _fault(here, mended, text, commands, remedy=cause.remedy if cause else "", warning=_waits_for_rights(here))


def _waits_for_rights(here: Here) -> bool:
    """Whether it only waits for what it may not read, which is a cause of its own."""
    try:
        return any(istiod_rights.find(here))
    except NotAllowed:
        return False


def _fault(
    here: Here,
    ref: Ref,
    text: str,
    commands: tuple[str, ...],
    *,
    remedy: str = "",
    step: str | None = None,
    warning: bool = False,
) -> Fault:
    return Fault(
        text,
        str(ref),
        evidence=(msg("the status of {object} and its Pods", object=str(istiod_of(here)[0])),),
        remedy=remedy or msg("Have it run again; proxies then connect by themselves."),
        commands=commands,
        step=step,
        breaks=() if warning else cut_off(here.view, served_clusters(here)),
        severity="warning" if warning else "error",
    )


CHECK = Check(
    "istiod",
    "control-plane",
    "error",
    find,
    short=msg("istiod is down"),
    title="istiod runs, with every replica",
    reads="Deployment `istiod` (with a revision `istiod-REVISION`) in `istio-system`, its Pods, and the last words of those that "
    "died.",
    means="Without istiod proxies go on with what they were told last: existing traffic passes for a while. Nothing that changes "
    "reaches them, no Pod is injected, and a proxy that restarts gets neither certificate nor configuration. Where some "
    "replicas are Ready, it is a warning.",
    arises="It was scaled to 0, found no node (it asks for 2 GiB), its image cannot be pulled, or it dies of certificates in "
    "Secret `cacerts` that do not belong together.",
    mend="What the finding says: its reason is the cluster's own, or istiod's last words.",
)
