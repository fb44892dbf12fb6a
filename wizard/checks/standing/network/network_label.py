"""Do the labels that tell a cluster's network say the same as its proxies?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wizard import kinds
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering, controls
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.gateways import labels_in, pods_of, service_of, service_ref
from wizard.checks.standing.networks import written
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import NAMESPACE, POD, Object, Ref
from wizard.istio.proxies import PROXY, has_sidecar
from wizard.istio.versions import minor_of
from wizard.mesh.model import NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.mesh.sample import SERVICE as SERVER
from wizard.messages import msg
from wizard.objects.ownership import label
from wizard.objects.pods import is_going
from wizard.text import listing, one_line, quoted

_ENVIRONMENT = "ISTIO_META_NETWORK"  # of a proxy: the network that it was injected for
_NAMESPACE = Ref(NAMESPACE, SYSTEM_NAMESPACE)
_LABEL_FIRST = (1, 11)  # the first that believes the namespace before meshNetworks and the proxies themselves


def find(here: Here) -> Iterable[Fault]:
    namespace = here.get(_NAMESPACE)
    if namespace is None or not here.mesh.beyond(here.name):
        return  # nothing of Istio is here, or all is one network, and no label matters
    found = label(namespace, NETWORK_LABEL) or ""
    wanted = _wanted(here, found)
    if not wanted:
        return
    if found != wanted:
        yield from _namespace(here, found, wanted)
        return
    yield from _service(here, wanted)
    for pod in pods_of(here):
        yield from _gateway_pod(here, pod, wanted)
    for pod in _sample_pods(here):
        yield from _sample_pod(here, pod, wanted)


def _network_in(pod: Object) -> str | None:
    """The network that the proxy in this Pod takes itself for; empty where it was given none, None where there is no proxy."""
    spec = pod.get("spec") or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if container["name"] == PROXY:
            values = {each["name"]: each.get("value", "") for each in container.get("env") or []}
            return str(values.get(_ENVIRONMENT, ""))
    return None


def _wanted(here: Here, found: str) -> str:
    """The mesh's network for this cluster; where nobody recorded it, that of its proxies, if they agree."""
    if not here.view.inferred:
        return here.member.network
    told = {_network_in(pod) for pod in [*pods_of(here), *_sample_pods(here)]} - {None, ""}
    return str(told.pop()) if len(told) == 1 else found


def _sample_pods(here: Here) -> list[Object]:
    pods = here.objects(POD, here.mesh.verify.namespace)
    return [pod for pod in pods if has_sidecar(pod) and not is_going(pod)]


def _namespace(here: Here, found: str, wanted: str) -> Iterator[Fault]:
    breaks = _misplaced(here, found, wanted)
    if here.view.inferred and not found and not breaks:
        return  # meshNetworks alone tell the network, which is a way to do it
    values = {
        "object": str(_NAMESPACE), "cluster": here.name, "label": NETWORK_LABEL, "found": one_line(found),
        "wanted": one_line(wanted),
    }  # fmt: skip
    if found:
        text = msg(
            "{object} of {cluster} says by label {label} that its Pods are on network {found}; they are on {wanted}, to which "
            "the other networks have a gateway",
            **values,
        )
    else:
        text = msg(
            "{object} of {cluster} lacks label {label}={wanted}, which tells istiods that its Pods are reached through a gateway",
            **values,
        )
    proxies = sorted({str(_network_in(pod)) for pod in [*pods_of(here), *_sample_pods(here)]} - {"None"})
    told = listing(one_line(each or '""') for each in proxies)
    evidence = [
        msg("labels of {object}: {label}={found}", object=str(_NAMESPACE), label=NETWORK_LABEL, found=one_line(found))
    ]
    if proxies:
        evidence.append(msg("{variable} of the proxies: {networks}", variable=_ENVIRONMENT, networks=told))
    yield Fault(
        text,
        str(_NAMESPACE),
        evidence=tuple(evidence),
        commands=(_labelling(here, f"namespace {SYSTEM_NAMESPACE}", wanted),),
        step=None if here.view.inferred else kinds.NAMESPACE.id(here.name),
        breaks=breaks,
        severity="error" if breaks else "warning",
    )


def _misplaced(here: Here, found: str, wanted: str) -> tuple[Pair, ...]:
    """The traffic that istiods send elsewhere, since they take the Pods here for those of another network."""
    if (minor_of(str(here.mesh.istio.version)) or _LABEL_FIRST) < _LABEL_FIRST:
        return ()  # these ask the proxies first
    servers = [pod for pod in _sample_pods(here) if label(pod, "app") == SERVER]
    if servers and all(label(pod, NETWORK_LABEL) == wanted for pod in servers):
        return ()  # a Pod's own label wins
    return tuple(
        (source, target)
        for source, target in here.view.beyond_into(here.name)
        if found or not _named_by(here.view.at(source).control, here.name, wanted)
    )


def _named_by(control: Here, cluster: str, network: str) -> bool:
    """Whether its meshNetworks say that this cluster is on that network, which counts where no label does."""
    found = written(control) if answering([control]) else None
    entry = found.entries.get(network) if found else None
    return entry is not None and cluster in entry.registries


def _service(here: Here, wanted: str) -> Iterator[Fault]:
    """The label that makes the gateway's Service one that istiods find by themselves."""
    service, ref = service_of(here), service_ref(here)
    found = label(service, NETWORK_LABEL) or ""
    if service is None or found == wanted:
        return
    gateway = here.member.gateway
    by_label = gateway.labelled and not here.view.inferred
    if found:
        text = msg(
            "{object} of {cluster} says by label {label} that it is a gateway of network {found}; it is one of {wanted}",
            object=str(ref), cluster=here.name, label=NETWORK_LABEL, found=one_line(found), wanted=one_line(wanted),
        )  # fmt: skip
    elif by_label:
        text = msg(
            "{object} of {cluster} lacks label {label}={wanted}, by which istiods find the gateway of that network",
            object=str(ref), cluster=here.name, label=NETWORK_LABEL, wanted=one_line(wanted),
        )  # fmt: skip
    else:
        return
    lost = by_label or (here.view.inferred and not _known_otherwise(here, wanted))
    remove = not lost and not here.view.inferred
    yield Fault(
        text,
        str(ref),
        evidence=(msg("labels of {object}: {label}={found}", object=str(ref), label=NETWORK_LABEL, found=one_line(found)),),
        commands=(
            _labelling(here, f"service {quoted(ref.name)}", None if remove else wanted, namespace=ref.namespace),
        ),
        step=None if here.view.inferred else kinds.INSTALL.id(here.name),
        breaks=here.view.beyond_into(here.name) if lost else (),
        severity="error" if lost else "warning",
    )  # fmt: skip


def _known_otherwise(here: Here, network: str) -> bool:
    """Whether every control plane has a gateway of the network in its meshNetworks."""
    found = [written(control) for control in controls(here)]
    return all(each is not None and network in each.entries and each.entries[network].gateways for each in found)


def _gateway_pod(here: Here, pod: Object, wanted: str) -> Iterator[Fault]:
    """A gateway that takes itself for one of another network sends what comes in on to the gateway of this one: itself."""
    found = _network_in(pod)
    if found in (None, "", wanted):
        return
    ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
    text = msg(
        "{object} of {cluster}, its gateway, takes itself for a proxy on network {found}, not {wanted}: it does not pass on to "
        "the Pods here what comes from other networks",
        object=str(ref), cluster=here.name, found=one_line(found), wanted=one_line(wanted),
    )  # fmt: skip
    yield _injected(here, ref, found or "", text, here.view.beyond_into(here.name))


def _sample_pod(here: Here, pod: Object, wanted: str) -> Iterator[Fault]:
    ref = Ref(POD, str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"]))
    found = _network_in(pod)
    told = {"object": str(ref), "cluster": here.name, "found": one_line(found or '""'), "wanted": one_line(wanted)}
    if found is not None and found != wanted:
        # What is on its own network, or on none, a proxy reaches directly.
        direct = tuple((here.name, peer.name) for peer in here.mesh.beyond(here.name) if found in ("", peer.network))
        text = msg("{object} of {cluster} takes itself for a proxy on network {found}, not {wanted}", **told)
        if label(pod, "app") == SERVER:
            direct = ()
        yield _injected(here, ref, found, text, direct)
    labelled = labels_in(pod).get(NETWORK_LABEL, wanted)
    if labelled != wanted and label(pod, "app") == SERVER:
        text = msg(
            "{object} of {cluster} is labelled as one on network {found}, not {wanted}, so that other networks look for it there",
            **{**told, "found": one_line(labelled)},
        )
        yield _injected(here, ref, labelled, text, here.view.beyond_into(here.name))


def _injected(here: Here, ref: Ref, found: str, text: str, breaks: tuple[Pair, ...]) -> Fault:
    return Fault(
        text,
        str(ref),
        evidence=(msg("network of {object}: {network}", object=str(ref), network=one_line(found or '""')),),
        remedy=msg(
            "Let the control plane inject network {network} (values.global.network, or the path of the injection webhook), and "
            "have the Pod made anew.",
            network=one_line(here.member.network),
        ),
        commands=(f"{here.kubectl} -n {quoted(ref.namespace)} delete pod {quoted(ref.name)}",),
        step=None if here.view.inferred else kinds.INSTALL.id(here.name),
        breaks=breaks,
        severity="error" if breaks else "warning",
    )


def _labelling(here: Here, what: str, network: str | None, *, namespace: str = "") -> str:
    place = f" -n {quoted(namespace)}" if namespace else ""
    words = quoted(f"{NETWORK_LABEL}-") if network is None else f"{quoted(f'{NETWORK_LABEL}={network}')} --overwrite"
    return f"{here.kubectl}{place} label {what} {words}"


CHECK = Check(
    "network-label",
    "network",
    "error",
    find,
    short=msg("another network's label"),
    title="Labels and proxies of a cluster name the same network",
    reads="Label `topology.istio.io/network` of namespace `istio-system`, of the gateway's Service and Pods and of the sample's "
    "Pods, and `ISTIO_META_NETWORK` in the proxies of these Pods. Nothing where the whole mesh is one network.",
    means="istiods decide by these labels whether Pods of a cluster are reached directly or through a gateway, and by which. A "
    "Pod's own label counts before that of the namespace, and this before meshNetworks (Istio 1.11 and later). With a wrong one, "
    "or none, they send proxies on other networks to addresses of Pods, which lead nowhere from there.",
    arises="istioctl labels the namespace only where it makes it itself; a namespace that was there before, for certificates "
    "say, stays without. `global.network` was given another value than the label, or changed while Pods kept the old one.",
    mend="Label the namespace as the finding says; istiod takes it up without a restart. Pods that were injected with another "
    "network must be made anew once the control plane's values are right.",
)
