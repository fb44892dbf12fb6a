"""Honest traffic: who answers follows from what stands in the clusters, with the failures that Istio and Envoy really show.

A proxy sees the mesh through the istiod that serves it, and keeps what it was told while that is away.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from wizard.clusters.kinds import SERVICE, Object, Ref
from wizard.mesh import sample
from wizard.simulated import connections, endpoints, istiod, proxies, registry, routing, rules, scope
from wizard.simulated.connections import Outcome
from wizard.simulated.endpoints import Endpoint, Port, Service, View
from wizard.simulated.machine import Machine
from wizard.simulated.routing import Destination

Counted = Counter[str]  # `rq_success`, `rq_error`, `cx_connect_fail`
_GATEWAY_TIMEOUT = connections.said("upstream request timeout", 504)


@dataclass(frozen=True)
class Upstream:
    """One of Envoy's clusters: a Service's port, or a subset of it. `fails_over`: whether endpoints that do not answer are put
    out.
    """

    service: Service
    port: Port
    subset: str
    endpoints: Sequence[Endpoint]
    fails_over: bool = False

    @property
    def name(self) -> str:
        """As Envoy shows it."""
        return f"outbound|{self.port.number}|{self.subset}|{self.service.host}"


@dataclass(frozen=True)
class Told:
    """What istiod told a proxy about the sample. `routed`: whether a VirtualService is about it, and `route` what that says of
    the request, None: nothing; `ways`: where the request goes, each with its share, None: into no cluster that there is.
    """

    view: View
    port: Port
    routed: bool
    route: Object | None
    ways: Sequence[tuple[Upstream | None, int]]


class Traffic:
    """The traffic between the machines of one universe."""

    def __init__(self, machines: Sequence[Machine]) -> None:
        self.machines = machines
        self._lock = threading.Lock()
        # What proxies keep while their istiod is away: by cluster and uid of the Pod.
        self._known: dict[tuple[str, str], Sequence[Machine]] = {}
        self._told: dict[tuple[str, str, str], Told | None] = {}
        self._counted: dict[tuple[str, str], dict[tuple[str, str, int], Counted]] = {}

    def view(self, here: Machine, client: Object) -> View | None:
        """The mesh as the proxy in this Pod sees it; None where it has none, or no istiod ever served it."""
        for machine in self.machines:
            with machine.settled():
                pass
        control = proxies.control_plane(here, client) if istiod.has_sidecar(client) else None
        if control is None:
            return None
        if not registry.istiods(control):
            return View(here, client, control, self._known.get(_key(here, client)))
        view = View(here, client, control)
        self._known[_key(here, client)] = view.known
        return view

    def conversation(self, here: Machine, client: Object, namespace: str) -> Conversation | None:
        """The requests of a client Pod to the sample in this namespace; None where its name does not resolve."""
        view = self.view(here, client)
        record = here.store.find(Ref(SERVICE, sample.SERVICE, namespace))
        if record is None:
            return None
        told = self._of(view, namespace) if view else None
        if told and record.manifest["spec"].get("clusterIP") == "None":
            # The name leads to Pods of this cluster, and proxies let each request go to the one that was looked up.
            told = replace(told, ways=[(_near(upstream, here), share) for upstream, share in told.ways])
        plain: list[Outcome] = []
        if told is None and (view is None or scope.passes_unknown(view.sidecar, view.config)):
            own = endpoints.own_backends(here, namespace, sample.SERVICE, sample.PORT)
            plain = connections.without_proxy(here, client, own, f"{sample.SERVICE}.{namespace}")
        return Conversation(self, here, client, told, plain)

    def _of(self, view: View, namespace: str) -> Told | None:
        key = (*_key(view.machine, view.pod), namespace)
        if key not in self._told or registry.istiods(view.control):
            self._told[key] = _told(view, namespace)
        return self._told[key]

    def endpoints(self, view: View, service: Service, port: Port, subset: str = "") -> list[Endpoint] | None:
        """The endpoints that a proxy has for a Service's port, or a subset of it, as its admin page shows them; None where it has
        no such cluster.
        """
        upstream = _upstream(view, service, port, subset)
        if upstream is None or not upstream.fails_over:
            return list(upstream.endpoints) if upstream else None
        return [replace(each, healthy=_answers(view, upstream, each)) for each in upstream.endpoints]

    def count(self, here: Machine, client: Object, cluster: str, endpoint: Endpoint, outcome: Outcome) -> None:
        """Keep what came of a request that a proxy sent to this endpoint of one of its clusters."""
        place = (cluster, endpoint.address, endpoint.port)
        with self._lock:
            counted = self._counted.setdefault(_key(here, client), {}).setdefault(place, Counter())
            counted["rq_success" if 0 < outcome.status < 500 else "rq_error"] += 1
            counted["cx_connect_fail"] += not outcome.connected

    def counted(self, here: Machine, client: Object, cluster: str, endpoint: Endpoint) -> Counted:
        """What came of all requests that the proxy in this Pod sent to this endpoint."""
        place = (cluster, endpoint.address, endpoint.port)
        with self._lock:
            return Counter(self._counted.get(_key(here, client), {}).get(place, {}))


def _key(here: Machine, pod: Object) -> tuple[str, str]:
    return here.context, str(pod["metadata"]["uid"])


class Conversation:
    """The requests of one client to the sample. `told`: what its proxy knows of it; where that is nothing, `plain` is what comes
    of requests to the Service's own address, none: the proxy lets nothing pass that it does not know.
    """

    def __init__(
        self, traffic: Traffic, here: Machine, client: Object, told: Told | None, plain: Sequence[Outcome]
    ) -> None:
        self._traffic = traffic
        self._here = here
        self._client = client
        self._told = told
        self._plain = plain
        self._usable: dict[int, list[Endpoint]] = {}  # place of a way → the endpoints that have turns
        self._outcomes: dict[tuple[int, int], list[Outcome]] = {}  # place of a way, and of an endpoint of it

    def request(self, turn: int) -> Outcome:
        """What comes of a request. `turn`: which one it is of all, by which everybody has a turn."""
        told = self._told
        if told is None:
            return self._plain[turn % len(self._plain)] if self._plain else connections.CUT_OFF
        if not told.port.http:
            return connections.in_tcp(self._sent(told, turn))
        if told.routed and told.route is None:
            return connections.NO_ROUTE
        return self._by_route(told, told.route or {}, turn)

    def _by_route(self, told: Told, route: Object, turn: int) -> Outcome:
        fault, delay = route.get("fault") or {}, 0.0
        if routing.befalls(fault.get("delay"), turn):
            delay = routing.seconds(fault["delay"].get("fixedDelay"))
        if routing.befalls(fault.get("abort"), turn):
            outcome = connections.said("fault filter abort", int(fault["abort"].get("httpStatus") or 503))
        elif "directResponse" in route:
            response = route["directResponse"]
            body = str((response.get("body") or {}).get("string", ""))
            outcome = connections.said(body, int(response.get("status") or 200))
        elif "redirect" in route:
            outcome = connections.said("", int(route["redirect"].get("redirectCode") or 301))
        else:
            outcome = self._sent(told, turn)
            patience = routing.seconds(route.get("timeout"))
            if patience and not outcome.ends:
                outcome = replace(_GATEWAY_TIMEOUT, seconds=patience)
        return replace(outcome, seconds=outcome.seconds + delay) if delay else outcome

    def _sent(self, told: Told, turn: int) -> Outcome:
        """To the endpoint whose turn it is."""
        order = routing.rotation(tuple(share for _, share in told.ways))
        if not order:
            return connections.NO_CLUSTER
        place, turn = order[turn % len(order)], turn // len(order)
        upstream = told.ways[place][0]
        if upstream is None:
            return connections.NO_CLUSTER
        if place not in self._usable:
            self._usable[place] = _usable(told.view, upstream)
        usable = self._usable[place]
        if not usable:
            return connections.UNHEALTHY
        turns = routing.rotation(tuple(each.weight for each in usable))
        index, turn = turns[turn % len(turns)], turn // len(turns)
        if (place, index) not in self._outcomes:
            self._outcomes[place, index] = _asked(told.view, upstream, usable[index])
        outcomes = self._outcomes[place, index]
        outcome = outcomes[turn % len(outcomes)]
        self._traffic.count(self._here, self._client, upstream.name, usable[index], outcome)
        return outcome


def _told(view: View, namespace: str) -> Told | None:
    """What a proxy is told about the sample in this namespace; None where it is told of no such host."""
    service = view.service(namespace, sample.SERVICE)
    port = service.ports.get(sample.PORT) if service else None
    if service is None or port is None or not view.sees(service, port.number):
        return None
    found = routing.virtual_service(view.control, service.host, view.namespace, view.sidecar, view.domain)
    if found is None or not port.http or not found[1].get("http"):
        return Told(view, port, False, None, [(_upstream(view, service, port), 1)])
    namespace, spec = found
    route = routing.route_of(spec, port.number, "/hello", view.namespace, view.labels)
    ways = [
        (_destined(view, destination, port), share)
        for destination, share in routing.destinations(route or {}, namespace, view.domain)
    ]
    return Told(view, port, True, route, ways)


def _destined(view: View, destination: Destination, port: Port) -> Upstream | None:
    service = view.named(destination.host)
    led = service.ports.get(destination.port or port.number) if service else None
    return _upstream(view, service, led, destination.subset) if service and led else None


def _upstream(view: View, service: Service, port: Port, subset: str = "") -> Upstream | None:
    found = view.endpoints(service, port, subset) if view.sees(service, port.number) else None
    if found is None:
        return None
    return Upstream(service, port, subset, found, rules.fails_over(view.rule(service), subset, port.number))


def _near(upstream: Upstream | None, here: Machine) -> Upstream | None:
    if upstream is None:
        return None
    own = [each for each in upstream.endpoints if each.backend and each.backend.machine is here]
    return replace(upstream, endpoints=own)


def _usable(view: View, upstream: Upstream) -> list[Endpoint]:
    """The endpoints of the first priority that has any: where those that do not answer are put out, any that answers."""
    levels: dict[int, list[Endpoint]] = {}
    for each in upstream.endpoints:
        levels.setdefault(each.priority, []).append(each)
    ordered = [levels[level] for level in sorted(levels)]
    if upstream.fails_over and len(ordered) > 1:
        ordered = [level for level in ordered if any(_answers(view, upstream, each) for each in level)] or ordered
    return ordered[0] if ordered else []


def _answers(view: View, upstream: Upstream, endpoint: Endpoint) -> bool:
    return any(outcome.answers for outcome in _asked(view, upstream, endpoint))


def _asked(view: View, upstream: Upstream, endpoint: Endpoint) -> list[Outcome]:
    return connections.to_endpoint(view, endpoint, upstream.service, upstream.port)
