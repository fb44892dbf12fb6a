"""Do admission webhooks refuse what the mesh needs, because nobody answers them?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.injection import OF_INJECTION
from wizard.checks.standing.istiods import istiod_of
from wizard.checks.standing.view import Here
from wizard.checks.standing.workloads import Lacking, lacking
from wizard.clusters.kinds import (
    MUTATING_WEBHOOK,
    NAMESPACE,
    POD,
    SERVICE,
    VALIDATING_WEBHOOK,
    Object,
    Ref,
    ref_of,
)
from wizard.clusters.webhooks import Made, Orphan, orphans
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import listing, one_line, quoted

# What the Pods of a mesh may carry: a webhook may select by labels.
_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"app": "istiod", "istio": "pilot"},
    {"app": GATEWAY_NAME, "istio": "eastwestgateway", "sidecar.istio.io/inject": "true"},
    {"app": "helloworld"},
    {"app": "curl"},
)


def find(here: Here) -> Iterable[Fault]:
    configurations = [*here.objects(VALIDATING_WEBHOOK), *here.objects(MUTATING_WEBHOOK)]
    refused = [each for each in lacking(here) if each.webhook and not each.webhook.endswith(OF_INJECTION)]
    told = _by_configuration(configurations, refused)
    for ref, out in told.items():
        yield _refusing(here, ref, out)
    for orphan in orphans(configurations, lambda service: _is_gone(here, *service), list(_made(here)), _LABELS):
        if orphan.refuses and orphan.configuration not in told:
            yield _orphan(here, orphan)


def _by_configuration(configurations: Iterable[Object], refused: list[Lacking]) -> dict[Ref, list[Lacking]]:
    """The configurations whose webhooks did not answer → for what they were asked."""
    found: dict[Ref, list[Lacking]] = {}
    for item in configurations:
        hooks = {hook["name"] for hook in item.get("webhooks") or []}
        out = [each for each in refused if each.webhook in hooks]
        if out:
            found[ref_of(item)] = out
    return found


def _refusing(here: Here, ref: Ref, out: list[Lacking]) -> Fault:
    text = msg(
        "{cluster}: {object} refuses the Pods of {workloads}, because nobody answers it: {problem}",
        cluster=here.name,
        object=str(_printable(ref)),
        workloads=listing(one_line(each.workload.ref.name) for each in out),
        problem=out[0].cause.text,
    )
    breaks = tuple(dict.fromkeys(pair for each in out for pair in each.breaks))
    severe = any(not each.workload.ready for each in out)
    return _fault(here, ref, text, breaks=breaks, severe=severe)


def _orphan(here: Here, orphan: Orphan) -> Fault:
    text = msg(
        "{cluster}: {object}: {calls}; whatever of {examples} is made next there is refused",
        cluster=here.name,
        object=str(_printable(orphan.configuration)),
        calls=orphan.told,
        examples=orphan.refuses,
    )
    return _fault(here, orphan.configuration, text, verb="delete" if orphan.whole else "edit")


def _fault(
    here: Here,
    ref: Ref,
    text: str,
    *,
    verb: str = "edit",
    breaks: tuple[tuple[str, str], ...] = (),
    severe: bool = False,
) -> Fault:
    kind = ref.kind.kind.lower()
    return Fault(
        text,
        str(_printable(ref)),
        evidence=(
            msg("the webhook configurations, the Services that they call, and events of Pods that were refused"),
        ),
        remedy=msg("Bring back what answers it; or where what it belonged to is gone for good, take it away."),
        commands=(
            f"{here.kubectl} get {kind} {quoted(ref.name)} -o yaml",
            f"{here.kubectl} {verb} {kind} {quoted(ref.name)}",
        ),
        breaks=breaks,
        severity="error" if severe else "warning",
    )


def _printable(ref: Ref) -> Ref:
    return Ref(ref.kind, one_line(ref.name), ref.namespace)


def _is_gone(here: Here, namespace: str, name: str) -> bool:
    # That of our own istiod is looked at with the control plane.
    if namespace == SYSTEM_NAMESPACE and name in ("istiod", istiod_of(here)[0].name):
        return False
    return here.get(Ref(SERVICE, name, namespace)) is None


def _made(here: Here) -> Iterable[Made]:
    """What is made anew as soon as something restarts."""
    for namespace in dict.fromkeys((SYSTEM_NAMESPACE, here.mesh.verify.namespace)):
        live = here.get(Ref(NAMESPACE, namespace))
        if live is not None:
            labels = live["metadata"].get("labels") or {}
            yield from (Made(resource, labels, namespace) for resource in (POD.resource, SERVICE.resource))


CHECK = Check(
    "webhooks",
    "cluster",
    "error",
    find,
    short=msg("webhook without an answer"),
    title="Admission webhooks answer",
    reads="Validating and mutating webhook configurations and the Services that they call; and where a Deployment of the mesh "
    "has not all Pods, the events that tell who refused them.",
    means="A webhook with `failurePolicy: Fail` whose Service is gone refuses whatever it is asked about. Pods that run stay; "
    "the next one in the mesh's namespaces is refused. Where one is missing for it already, it is an error.",
    arises="Software was removed without its webhook configuration, or its Pods are down.",
    mend="Bring the software back, or delete its webhook configuration where it is gone for good. istiod's own webhook has a "
    "check of its own: `injector`.",
)
