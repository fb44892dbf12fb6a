"""Does the east-west gateway run?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wizard import kinds
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import deployment_ref, pods_of
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NAMESPACE, POD, Object, Ref
from wizard.istio.proxies import PROXY
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.ownership import label
from wizard.objects.pods import is_ready
from wizard.text import one_line, quoted

_AUTO = "auto"  # the image for which the injection webhook puts the proxy's
_VIEW = "ISTIO_META_REQUESTED_NETWORK_VIEW"  # of a proxy: the networks to whose Pods it passes on


def find(here: Here) -> Iterable[Fault]:
    if not here.mesh.has_gateway(here.name):
        return
    ref = deployment_ref(here)
    live, pods = here.get(ref), pods_of(here)
    if live is None and not pods:
        if (
            not here.view.inferred
        ):  # else nobody knows what it should be called: its Service leads nowhere, which is told of that
            text = msg("{object} of {cluster}, its gateway to other networks, is missing", **_named(here, ref))
            yield _fault(here, ref, text, ())
    elif live is not None and not live["spec"].get("replicas", 1):
        text = msg("{object} of {cluster}, its gateway to other networks, is scaled to 0", **_named(here, ref))
        scale = f"{_tool(here, ref)} scale {quoted(f'deployment/{ref.name}')} --replicas=1"
        yield _fault(here, ref, text, (msg("spec.replicas of {object}", object=str(ref)),), scale)
    elif any(is_ready(pod) for pod in pods):
        yield from _looking_elsewhere(here, pods)
    else:
        yield from _not_ready(here, ref, pods)


def _not_ready(here: Here, ref: Ref, pods: list[Object]) -> Iterator[Fault]:
    raw = [str(pod["metadata"]["name"]) for pod in pods if _is_raw(pod)]
    if raw:
        text = msg(
            "{object} of {cluster}, its gateway to other networks, has Pods that were made while nothing injected: their image "
            "is {image}, which there is not",
            image=_AUTO, **_named(here, ref),
        )  # fmt: skip
        remedy = msg("Once istiod is ready, delete them, so that they are made anew and injected.")
        again = f"{_tool(here, ref)} delete pod {' '.join(map(quoted, raw))}"
        yield _fault(
            here, ref, text, (msg("image of {pod}: {image}", pod=one_line(raw[0]), image=_AUTO),), again, remedy
        )
        return
    if not answering([here.control]) or not here.control.istiods():
        return  # a proxy that has no istiod does not get ready, and why it has none is told of istiod
    cause = here.unready(ref) if here.get(ref) else None
    text = msg("{object} of {cluster}, its gateway to other networks, has no Ready Pod", **_named(here, ref))
    look = f"{_tool(here, ref)} describe pods {' '.join(quoted(each['metadata']['name']) for each in pods)}".rstrip()
    yield _fault(here, ref, text, (cause.text,) if cause else (), look, cause.remedy if cause else "")


def _looking_elsewhere(here: Here, pods: list[Object]) -> Iterator[Fault]:
    """A gateway shows other networks the Pods of the networks that it was told of, and no others."""
    network = label(here.get(Ref(NAMESPACE, SYSTEM_NAMESPACE)), NETWORK_LABEL)
    for pod in pods:
        seen = _environment(pod).get(_VIEW, "")
        if network and seen and network not in seen.split(","):
            ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
            text = msg(
                "{object} of {cluster}, its gateway, passes on to Pods on network {seen} only, and those here are on {network}",
                seen=one_line(seen), network=one_line(network), **_named(here, ref),
            )  # fmt: skip
            # Pods keep the network that they were injected with: it bites those that come after the label changed.
            told = _fault(here, ref, text, (msg("{variable} of {object}", variable=_VIEW, object=str(ref)),))
            yield replace(told, severity="warning", breaks=())


def _is_raw(pod: Object) -> bool:
    containers = (pod.get("spec") or {}).get("containers") or []
    return any(each.get("image") == _AUTO for each in containers)


def _environment(pod: Object) -> dict[str, str]:
    containers = (pod.get("spec") or {}).get("containers") or []
    return {
        each["name"]: each.get("value", "")
        for one in containers
        if one["name"] == PROXY
        for each in one.get("env") or []
    }


def _named(here: Here, ref: Ref) -> dict[str, str]:
    return {"object": str(ref), "cluster": here.name}


def _tool(here: Here, ref: Ref) -> str:
    return f"{here.kubectl} -n {quoted(ref.namespace)}"


def _fault(
    here: Here, ref: Ref, text: str, evidence: tuple[str, ...], command: str = "", remedy: str = ""
) -> Fault:  # fmt: skip
    what = ref.kind.kind.lower()
    return Fault(
        text,
        str(ref),
        evidence=evidence,
        remedy=remedy,
        commands=(command or f"{_tool(here, ref)} get {what} {quoted(ref.name)} -o yaml",),
        step=None if here.view.inferred else kinds.INSTALL.id(here.name),
        breaks=here.view.beyond_into(here.name),
    )


CHECK = Check(
    "gateway-pods",
    "gateway",
    "error",
    find,
    short=msg("gateway does not run"),
    title="The east-west gateway runs",
    reads="The gateway's Deployment and Pods in each cluster that has one: replicas, readiness, the image of its proxy, and the "
    "networks to whose Pods it passes on.",
    means="Nobody takes what comes from other networks: their proxies are refused or wait in vain. Remotes do not reach the "
    "istiod behind it either, and go on with what they know.",
    arises="It was scaled down, deleted, or has no room on any node. Its Pod was made while the injection webhook did not "
    "answer, so that its image is still called `auto`.",
    mend="Do what the reason asks for. A Pod with image `auto` has only to be deleted once istiod is ready.",
)
