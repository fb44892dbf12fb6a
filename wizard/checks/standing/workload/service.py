"""Is the sample's Service there, the same as in the other clusters, and does it select Pods?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from wizard.checks.finding import Pair, Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.meshconfig import setting
from wizard.checks.standing.samples import (
    in_namespace,
    is_wanted,
    mending_step,
    out_and_within,
    pods_of,
    service_of,
    service_ref,
    within,
)
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Object
from wizard.istio.proxies import PROXY
from wizard.mesh.sample import PORT, SERVICE
from wizard.messages import msg
from wizard.objects.pods import is_ready
from wizard.text import listing, one_line

NAME = "http"  # of the port, as we make it


def find(here: Here) -> Iterable[Fault]:
    service = here.get(service_ref(here.view))
    if service is None:
        if is_wanted(here):
            yield _missing(here)
        return
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        yield _fault(
            here,
            msg(
                "{cluster}: {service} is of type ExternalName, which istiod takes for something outside of the mesh: its Pods "
                "are endpoints of nothing",
                cluster=here.name, service=_told(here),
            ),
            _all_of(here),
            msg("spec.type {type}", type="ExternalName"),
        )  # fmt: skip
        return
    if spec.get("clusterIP") == "None":
        yield _headless(here)
    yield from _selection(here, spec)
    yield from _ports(here, spec)


def _missing(here: Here) -> Fault:
    told = {"cluster": here.name, "service": _told(here)}
    captured = setting(here.control, "defaultConfig", "proxyMetadata", "ISTIO_META_DNS_CAPTURE")
    if str(captured).lower() == "true":
        # Its proxies answer DNS, and know the name from the clusters that have the Service.
        text = msg("{cluster}: {service} is missing: no proxy knows its Pods", **told)
        return _fault(here, text, within(here.view, here.name), msg("there is none"))
    text = msg(
        "{cluster}: {service} is missing: no proxy knows its Pods, and nothing in that cluster resolves its name",
        **told,
    )
    return _fault(here, text, _all_of(here), msg("there is none"))


def _headless(here: Here) -> Fault:
    text = msg(
        "{cluster}: {service} is headless (clusterIP: None), so requests go to the addresses of Pods, and those of other "
        "networks are reached by nobody",
        cluster=here.name, service=_told(here),
    )  # fmt: skip
    view = here.view
    clients = dict.fromkeys((here.name, *view.served_by(here.name)))
    breaks = (*view.beyond_into(here.name), *(pair for name in clients for pair in view.out_of(name)))
    return _fault(here, text, tuple(dict.fromkeys(breaks)), msg("spec.clusterIP {address}", address="None"))


def _selection(here: Here, spec: Object) -> Iterator[Fault]:
    """Pods are there and serve, but are not behind the Service, or not at the port that it leads to."""
    ready = [pod for pod in pods_of(here, SERVICE) if is_ready(pod)]
    selector = spec.get("selector") or {}
    behind = [pod for pod in ready if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    told = listing(f"{one_line(key)}={one_line(value)}" for key, value in selector.items())
    if ready and selector and not behind:
        text = msg(
            "{cluster}: {service} selects {selector}, which none of the sample's Pods has: it has no endpoint",
            cluster=here.name, service=_told(here), selector=told,
        )  # fmt: skip
        yield _fault(here, text, within(here.view, here.name), msg("spec.selector {selector}", selector=told))
    port = port_of(spec)
    target = (port or {}).get("targetPort") or PORT
    listened = {each for pod in behind for each in _listened(pod)}
    if port and listened and target not in listened:
        text = msg(
            "{cluster}: {service} leads to port {target} of its Pods, where nothing listens",
            cluster=here.name, service=_told(here), target=one_line(target),
        )  # fmt: skip
        severity: Severity | None = "unsure" if here.view.inferred else None
        evidence = msg("its Pods declare {ports}", ports=listing(sorted(map(one_line, listened))))
        yield _fault(here, text, within(here.view, here.name), evidence, severity=severity)


def _listened(pod: Object) -> Iterator[object]:
    """The ports, by number and name, that the containers of the Pod declare."""
    for container in (pod.get("spec") or {}).get("containers") or []:
        ports = container.get("ports")
        for each in ports if isinstance(ports, list) and container.get("name") != PROXY else []:
            yield from (
                value for value in (each.get("containerPort"), each.get("name")) if isinstance(value, int | str)
            )


def _ports(here: Here, spec: Object) -> Iterator[Fault]:
    own = port_of(spec)
    wanted = _wanted(here)
    if own is not None and own.get("name", "") == wanted:
        return
    breaks = _unmatched(here)
    if not breaks:
        return
    if own is None:
        text = msg(
            "{cluster}: {service} has no TCP port {port}, on which the sample is asked",
            cluster=here.name, service=_told(here), port=PORT,
        )  # fmt: skip
    else:
        text = msg(
            "{cluster}: port {port} of {service} is named {name}, in other clusters {wanted}: endpoints of a port of another "
            "name are left out",
            cluster=here.name, service=_told(here), port=PORT, name=one_line(own.get("name") or '""'),
            wanted=one_line(wanted or '""'),
        )  # fmt: skip
    ports = [
        f"{one_line(each.get('name', ''))} {each['port']}/{one_line(each.get('protocol', 'TCP'))}"
        for each in spec.get("ports") or []
    ]
    yield _fault(here, text, breaks, msg("spec.ports {ports}", ports=listing(ports) or "[]"))


def port_of(spec: Object) -> Object | None:
    """The port on which the sample is asked; None where the Service has none."""
    for each in spec.get("ports") or []:
        if each["port"] == PORT and each.get("protocol", "TCP") == "TCP":
            found: Object = each
            return found
    return None


def _wanted(here: Here) -> str:
    """The name of the port: ours, or in a mesh that nobody recorded that in most clusters."""
    if not here.view.inferred:
        return NAME
    found = [port_of((service_of(there) or {}).get("spec") or {}) for there in here.view.all]
    names = Counter(str(each.get("name", "")) for each in found if each is not None)
    return names.most_common(1)[0][0] if names else NAME


def _unmatched(here: Here) -> tuple[Pair, ...]:
    """The traffic that does not pass for the ports of the Service here. The istiod of whoever asks goes by the Service in its own
    cluster, and takes of another those endpoints whose port has the same name; a gateway knows the ports of its istiod's Service.
    """
    mesh = here.mesh
    specs = {there.name: (service_of(there) or {}).get("spec") or {} for there in here.view.all}
    seen = {name: port_of(spec) for name, spec in specs.items()}
    names = {
        name: {each.get("name", "") for each in spec.get("ports") or [] if each.get("protocol", "TCP") == "TCP"}
        for name, spec in specs.items()
    }

    def passes(source: str, target: str) -> bool:
        asked = seen[mesh.control_plane(source).name]
        if asked is None or asked.get("name", "") not in names[target]:
            return False
        same = mesh.cluster(source).network == mesh.cluster(target).network
        return same or seen[mesh.control_plane(target).name] is not None

    return tuple(
        (source.name, target.name)
        for source in mesh.clusters
        for target in mesh.clusters
        if here.name in (target.name, mesh.control_plane(source.name).name, mesh.control_plane(target.name).name)
        and not passes(source.name, target.name)
    )


def _all_of(here: Here) -> tuple[Pair, ...]:
    return (*here.view.into(here.name), *out_and_within(here.view, here.name))


def _told(here: Here) -> str:
    return str(service_ref(here.view))


def _fault(
    here: Here, text: str, breaks: tuple[Pair, ...], evidence: str, *, severity: Severity | None = None
) -> Fault:
    return Fault(
        text,
        _told(here),
        evidence=(msg("{service} in {cluster}: {read}", service=_told(here), cluster=here.name, read=evidence),),
        remedy=msg("Have the same Service in every cluster, as the sample's manifest says."),
        commands=(f"{in_namespace(here)} get service {SERVICE} -o yaml",),
        step=mending_step(here),
        breaks=breaks,
        severity=severity,
    )


CHECK = Check(
    "service",
    "workload",
    "error",
    find,
    short=msg("Service differs"),
    title="The sample's Service is the same in every cluster, and selects Pods",
    reads="Service `helloworld` of the sample's namespace in every cluster, and the labels and ports of the sample's "
    "Pods.",
    means="A name is resolved where it is asked, so a cluster without the Service asks nobody; and an istiod gives "
    "out those endpoints of another cluster that are behind a Service of the same name and namespace, by a port of "
    "the same name. A headless Service leads to addresses of Pods, which other networks do not reach.",
    arises="The Service was applied to one cluster only, or each cluster has a manifest of its own, in which a port "
    "is called `http` here and `http-web` there, or the selector has one label more.",
    mend="Apply one manifest of the Service to every cluster. `meshwizard apply` puts that of the sample back.",
)
