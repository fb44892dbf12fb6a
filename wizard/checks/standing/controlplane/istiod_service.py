"""Do proxies find istiod by its Service?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wizard import kinds
from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import cut_off, istiod_of, runs_istiod, served_clusters
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import ENDPOINT_SLICE, ENDPOINTS, SERVICE, Object, Ref
from wizard.clusters.selectors import selects
from wizard.istio import names
from wizard.istio.operator import planned_discovery
from wizard.mesh.addresses import canonical
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects.eastwest import GATEWAY_SERVICE, ingress_of
from wizard.text import listing, one_line, quoted

DISCOVERY_PORT = 15012
_EXTERNAL = "ExternalName"


def find(here: Here) -> Iterable[Fault]:
    if runs_istiod(here):
        yield from _own(here)
    if here.member.role == "remote":
        yield from _of_primary(here)


def _own(here: Here) -> Iterable[Fault]:
    """Of a cluster that runs istiod: the Service leads to its Pods."""
    ref = Ref(SERVICE, istiod_of(here)[0].name, SYSTEM_NAMESPACE)
    service = here.get(ref)
    told = {"cluster": here.name, "object": str(ref)}
    if service is None:
        yield _fault(here, ref, msg("{cluster}: {object} is gone: no proxy finds istiod any more", **told), gone=True)
        return
    spec = service.get("spec") or {}
    running = here.istiods()
    selector = {"matchLabels": spec.get("selector") or {}}
    if spec.get("type") == _EXTERNAL or not any(each["port"] == DISCOVERY_PORT for each in spec.get("ports") or []):
        text = msg(
            "{cluster}: {object} has no port {port} that leads to istiod: no proxy gets through",
            port=DISCOVERY_PORT,
            **told,
        )
        yield _fault(here, ref, text)
    # Where none is Ready, another check tells why.
    elif (
        running
        and spec.get("selector")
        and not any(selects(selector, pod["metadata"].get("labels") or {}) for pod in running)
    ):
        text = msg("{cluster}: {object} selects none of the Pods of istiod: no proxy finds it any more", **told)
        yield _fault(here, ref, text)


def _of_primary(here: Here) -> Iterable[Fault]:
    """Of a remote: the Service leads to where its primary's istiod is reached."""
    ref, service = _leading(here)
    told = {"cluster": here.name, "object": str(ref), "primary": here.control.name}
    if service is None:
        if not runs_istiod(here):  # where it does, the Service's name is nobody's promise
            text = msg("{cluster}: {object} is gone: no proxy here finds istiod of {primary}", **told)
            yield _fault(here, ref, text, gone=True)
        return
    spec = service.get("spec") or {}
    wanted = None if here.view.inferred else _wanted(here)
    if spec.get("type") == _EXTERNAL:
        name = str(spec.get("externalName") or "")
        if wanted and name != wanted:
            yield _elsewhere(here, ref, [name], wanted)
        elif here.view.inferred:
            text = msg(
                "{cluster}: {object} leads to {primary} by a host name; an API server that routes to endpoints itself calls no "
                "webhook through it, and then no Pod is injected",
                **told,
            )
            yield _fault(here, ref, text, unsure=True)
        return
    mended, addresses = _addresses(here, ref)
    if not addresses and not spec.get("selector"):
        text = msg("{cluster}: {object} leads to no address: no proxy here finds istiod of {primary}", **told)
        yield _fault(here, ref, text)
    elif wanted and addresses and canonical(wanted) not in map(canonical, addresses):
        yield _elsewhere(here, mended, addresses, wanted)


def _leading(here: Here) -> tuple[Ref, Object | None]:
    """The Service by which this remote's proxies find their istiod. Its name depends on Istio's version."""
    own = names.istiod_name(here.mesh)
    candidates = ("istiod-remote", f"{own}-remote") if runs_istiod(here) else (own, "istiod")
    refs = [Ref(SERVICE, name, SYSTEM_NAMESPACE) for name in dict.fromkeys(candidates)]
    return next(((ref, live) for ref in refs if (live := here.get(ref)) is not None), (refs[0], None))


def _addresses(here: Here, service: Ref) -> tuple[Ref, list[str]]:
    """(what lists them, the addresses behind a Service that selects no Pods)."""
    place = Ref(ENDPOINTS, service.name, service.namespace)
    subsets = (here.get(place) or {}).get("subsets") or []
    listed = [str(each.get("ip")) for subset in subsets for each in subset.get("addresses") or []]
    if listed:
        return place, listed
    for each in here.objects(ENDPOINT_SLICE, service.namespace, f"kubernetes.io/service-name={service.name}"):
        place = Ref(ENDPOINT_SLICE, one_line(each["metadata"]["name"]), service.namespace)
        ready = [one for one in each.get("endpoints") or [] if (one.get("conditions") or {}).get("ready", True)]
        listed += [str(address) for one in ready for address in one.get("addresses") or []]
    return place, listed


def _wanted(here: Here) -> str | None:
    """Where the mesh has this remote find its istiod; None while that is not known."""
    planned = planned_discovery(here.mesh, here.member)
    if planned or not answering((here.control,)):
        return planned
    return ingress_of(here.control.get(GATEWAY_SERVICE))


def _elsewhere(here: Here, ref: Ref, found: Sequence[str], wanted: str) -> Fault:
    text = msg(
        "{cluster}: {object} leads to {found}, but istiod of {primary} is reached at {wanted}: no proxy here finds it",
        cluster=here.name,
        object=str(ref),
        found=listing(one_line(each) for each in found[:3]),
        primary=here.control.name,
        wanted=one_line(wanted),
    )
    return _fault(here, ref, text)


def _fault(here: Here, ref: Ref, text: str, *, gone: bool = False, unsure: bool = False) -> Fault:
    tool = f"{here.kubectl} -n {SYSTEM_NAMESPACE}"
    kind = ref.kind.kind.lower()
    seen = (f"{tool} get {kind} {quoted(ref.name)} -o yaml",) if not gone else (f"{tool} get services",)
    clusters = served_clusters(here) if runs_istiod(here) and ref.name == istiod_of(here)[0].name else (here.name,)
    return Fault(
        text,
        str(ref),
        evidence=(msg("{object}, and the addresses behind it", object=str(ref)),),
        remedy=msg("Have it lead to istiod again: install Istio with the same values, or correct it by hand."),
        commands=(*seen, *(() if gone else (f"{tool} edit {kind} {quoted(ref.name)}",))),
        step=kinds.INSTALL.id(here.name) if gone and not here.view.inferred else None,
        breaks=() if unsure else cut_off(here.view, clusters),
        severity="unsure" if unsure else "error",
    )


CHECK = Check(
    "istiod-service",
    "control-plane",
    "error",
    find,
    short=msg("istiod is not found"),
    title="Proxies find istiod by its Service",
    reads="Service `istiod` (with a revision `istiod-REVISION`) in `istio-system` and, in a remote, its Endpoints or "
    "EndpointSlice; and where the mesh has that remote find the istiod of its primary.",
    means="Proxies and the API server call istiod by this Service. Where it leads nowhere, proxies that run keep what they were "
    "told, and whatever restarts is neither injected nor configured.",
    arises="The Service was deleted or edited. In a remote: `remotePilotAddress` is empty or wrong, or the primary's gateway got "
    "another address since.",
    mend="Install the cluster again with the right address; by hand, edit the Endpoints or the EndpointSlice. A host name needs "
    "Istio 1.15 or later, and an API server that does not route to endpoints itself.",
)
