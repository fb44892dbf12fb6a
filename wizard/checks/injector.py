"""Would an istiod of somebody else inject our Pods, beside our own? A gateway that two inject never becomes ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kinds import POD, Object, Ref
from wizard.clusters.typed import kubectl
from wizard.clusters.webhooks import Made, asked
from wizard.istio import names
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    # One that has the name of ours is a conflict, which the install tells.
    own = names.injector_name(looked.mesh, member)
    injectors = [each for each in looked.mutating if _injects(each) and each["metadata"]["name"] != own]
    told: dict[Ref, tuple[str, str]] = {}
    for namespace, labels in _pods(looked) if injectors else ():
        for ref, service in asked(injectors, _made(looked, namespace), labels):
            if service[0] != SYSTEM_NAMESPACE and ref not in told:
                told[ref] = (_service(*service), namespace)
    for ref, (leads, namespace) in told.items():
        yield Found(
            msg(
                "{kind} {name}, which leads to {service}, would inject our Pods in {namespace}, too",
                kind=ref.kind.kind,
                name=one_line(ref.name),
                service=leads,
                namespace=namespace,
            ),
            msg(
                "Give this mesh a revision of its own (istio.revision); or have that Istio select only its own namespaces, or "
                "if it is gone: {command}",
                command=f"{kubectl(member)} delete {ref.kind.kind.lower()} {quoted(ref.name)}",
            ),
            person=True,
        )


def _service(namespace: str, name: str) -> str:
    return msg("Service {name} in {namespace}", name=one_line(name), namespace=one_line(namespace))


def _injects(configuration: Object) -> bool:
    return (
        (configuration["metadata"].get("labels") or {}).get("app")
    ) == "sidecar-injector"  # as every Istio labels them


def _pods(looked: Looked) -> Iterator[tuple[str, dict[str, str]]]:
    """(namespace, labels) of the Pods that are to be injected by our own istiod."""
    mesh = looked.mesh
    if mesh.has_gateway(looked.member.name):
        revision = mesh.istio.revision or "default"
        labels = {"app": GATEWAY_NAME, "sidecar.istio.io/inject": "true", "istio.io/rev": revision}
        yield SYSTEM_NAMESPACE, labels
    yield mesh.verify.namespace, {"app": "helloworld"}


def _made(looked: Looked, namespace: str) -> Made:
    return Made(POD.resource, looked.places[namespace], namespace)


CHECK = Check("injector", "cluster", "error", find, optional=True)
