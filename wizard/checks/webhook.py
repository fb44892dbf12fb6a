"""Are there admission webhooks that nobody answers any more? That of our own istiod comes back with it."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kinds import (
    AUTOSCALER,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ISTIO_GATEWAY,
    JOB,
    NAMESPACE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    VALIDATING_WEBHOOK,
    Ref,
)
from wizard.clusters.typed import kubectl
from wizard.clusters.webhooks import Made, orphans
from wizard.istio import names
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    ours = (SYSTEM_NAMESPACE, names.istiod_name(mesh))
    known: dict[tuple[str, str], bool] = {ours: False}

    def is_gone(service: tuple[str, str]) -> bool:
        if service not in known:
            known[service] = cluster.get(Ref(SERVICE, service[1], service[0])) is None
        return known[service]

    configurations = [*cluster.objects(VALIDATING_WEBHOOK), *looked.mutating]
    for orphan in orphans(configurations, is_gone, list(_made(looked)), _LABELS):
        kind = orphan.configuration.kind.kind
        told = {"kind": kind, "name": one_line(orphan.configuration.name), "calls": orphan.told}
        verb = "delete" if orphan.whole else "edit"
        command = f"{kubectl(member)} {verb} {kind.lower()} {quoted(orphan.configuration.name)}"
        remedy = msg("Where what it belonged to is gone for good: {command}", command=command)
        if orphan.refuses:
            text = msg(
                "{kind} {name}: {calls}; it makes the API server refuse what will be made here, such as {examples}",
                **told,
                examples=orphan.refuses,
            )
            yield Found(text, remedy, person=True)
        else:
            yield Found(msg("{kind} {name}: {calls}", **told), remedy, severity="warning")


# What the objects may carry that are made: a webhook may select by labels.
_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"app": "istiod", "istio": "pilot"},
    {"app": GATEWAY_NAME, "istio": "eastwestgateway", "sidecar.istio.io/inject": "true"},
    {"app": "helloworld"},
    {"app": "curl"},
)


def _made(looked: Looked) -> Iterable[Made]:
    """What an install makes. Webhook configurations themselves are never asked about."""
    for kind in (CRD, CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
        yield Made(kind.resource, None)
    for name, labels in looked.places.items():
        yield Made(NAMESPACE.resource, labels)
        for resource in _OF_INSTALL if name == SYSTEM_NAMESPACE else _OF_SAMPLE:
            yield Made(resource, labels, name)


_OF_SAMPLE = (*(kind.resource for kind in (SERVICE, DEPLOYMENT, POD)), "replicasets.apps")

_OF_INSTALL = (
    *(
        kind.resource
        for kind in (DEPLOYMENT, SERVICE, POD, JOB, SECRET, CONFIG_MAP, SERVICE_ACCOUNT, ROLE, ROLE_BINDING)
    ),
    *(kind.resource for kind in (AUTOSCALER, DISRUPTION_BUDGET, ISTIO_GATEWAY)),
    "replicasets.apps",
)


CHECK = Check("webhook", "cluster", "error", find, optional=True)
