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
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    member = looked.member
    # One that has the name of ours is a conflict, which the install tells.
    own = names.injector_name(looked.mesh, member)
    injectors = [each for each in looked.mutating if _injects(each) and each["metadata"]["name"] != own]
    told: dict[Ref, tuple[str, str]] = {}
    for made, labels in _pods(looked) if injectors else ():
        for ref, service in asked(injectors, made, labels):
            if service[0] != SYSTEM_NAMESPACE and ref not in told:
                told[ref] = (f"Service {one_line(service[1])} in {one_line(service[0])}", made.where)
    for ref, (leads, where) in told.items():
        yield Found(
            f"{ref.kind.kind} {one_line(ref.name)}, which leads to {leads}, would inject our Pods{where}, too",
            "Give this mesh a revision of its own (istio.revision); or have that Istio select only its own namespaces, or if it "
            f"is gone: {kubectl(member)} delete {ref.kind.kind.lower()} {quoted(ref.name)}",
            person=True,
        )


def _injects(configuration: Object) -> bool:
    return (
        (configuration["metadata"].get("labels") or {}).get("app")
    ) == "sidecar-injector"  # as every Istio labels them


def _pods(looked: Looked) -> Iterator[tuple[Made, dict[str, str]]]:
    """The Pods that are to be injected by our own istiod."""
    mesh = looked.mesh
    if mesh.has_gateway(looked.member.name):
        revision = mesh.istio.revision or "default"
        labels = {"app": GATEWAY_NAME, "sidecar.istio.io/inject": "true", "istio.io/rev": revision}
        yield _made(looked, SYSTEM_NAMESPACE), labels
    yield _made(looked, mesh.verify.namespace), {"app": "helloworld"}


def _made(looked: Looked, namespace: str) -> Made:
    return Made(POD.resource, looked.places[namespace], f" in {namespace}")


CHECK = Check("injector", "cluster", "error", find, optional=True)
