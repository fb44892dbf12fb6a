"""What others put beside a mesh that stands: each object changes just those answers that it changes on real clusters."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_simulated_remotes import made
from tests.unit.test_simulated_traffic import CERTIFICATE, REFUSED, RESET, TIMEOUT, Universe, networks, system
from wizard.clusters.kinds import (
    AUTHORIZATION_POLICY,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    DEPLOYMENT,
    DESTINATION_RULE,
    NETWORK_POLICY,
    NODE,
    PEER_AUTHENTICATION,
    POD,
    SECRET,
    SERVICE,
    SIDECAR,
    VIRTUAL_SERVICE,
    Kind,
    Object,
    Ref,
)
from wizard.clusters.port import Executed
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE
from wizard.simulated import pages

HOST = "helloworld.sample.svc.cluster.local"
CUT_OFF = "curl: (56) Recv failure: Connection reset by peer"
NO_MTLS = {"mtls": {"mode": "DISABLE"}}
STRICT = {"mtls": {"mode": "STRICT"}}
Break = Callable[[Universe], None]


@pytest.fixture
def universe() -> Universe:
    return Universe()


def put(
    universe: Universe, cluster: str, kind: Kind, spec: Object, namespace: str = "sample", name: str = "theirs"
) -> None:
    """Somebody's object, in that cluster."""
    universe.machine(cluster).apply_as(
        "somebody",
        {
            "apiVersion": "networking.k8s.io/v1" if kind is NETWORK_POLICY else f"{kind.group}/v1",
            "kind": kind.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        },
    )


def putting(cluster: str, kind: Kind, spec: Object, namespace: str = "sample") -> Break:
    return lambda universe: put(universe, cluster, kind, spec, namespace)


def mesh_config(universe: Universe, cluster: str, **told: Any) -> None:
    def edit(config: Object) -> None:
        config["data"]["mesh"] = yaml.safe_dump({**yaml.safe_load(config["data"]["mesh"]), **told})

    universe.machine(cluster).change(system(CONFIG_MAP, "istio"), edit)


def bodies(done: Executed) -> str:
    """What was heard beside the sample's answers."""
    return re.sub(r"Hello version: .*\n", "", done.stdout)


def uninjected(universe: Universe, cluster: str) -> None:
    """The client there has no sidecar any more."""
    machine = universe.machine(cluster)

    def leave(deployment: Object) -> None:
        deployment["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] = "false"

    machine.change(Ref(DEPLOYMENT, "curl", "sample"), leave)
    universe.door(cluster).objects(POD)


# -- PeerAuthentication


@pytest.mark.parametrize(
    ("namespace", "spec"),
    [
        ("sample", NO_MTLS),
        (SYSTEM_NAMESPACE, NO_MTLS),
        ("sample", {"selector": {"matchLabels": {"app": "helloworld"}}, **NO_MTLS}),
        (
            "sample",
            {
                "selector": {"matchLabels": {"app": "helloworld"}},
                "mtls": {"mode": "STRICT"},
                "portLevelMtls": {5000: {"mode": "DISABLE"}},
            },
        ),
    ],
    ids=["namespace", "mesh", "workload", "port"],
)
def test_who_takes_no_mtls_is_given_to_nobody_on_another_network(
    universe: Universe, namespace: str, spec: Object
) -> None:
    put(universe, "cluster1", PEER_AUTHENTICATION, spec, namespace)
    done = universe.ask("cluster1")
    assert (universe.heard("cluster1"), bodies(done), done.stderr) == (["v1"], "", "")


def test_a_peers_gateway_passes_nothing_on_to_who_takes_no_mtls_as_its_own_istiod_knows(universe: Universe) -> None:
    put(universe, "cluster2", PEER_AUTHENTICATION, NO_MTLS)
    assert universe.ask("cluster1").stdout.count(RESET) == 6
    assert universe.heard("cluster1") == ["v1"]
    assert universe.heard("cluster2") == ["v2"]


@pytest.mark.parametrize(
    ("namespace", "spec"),
    [
        ("default", NO_MTLS),
        ("sample", {"selector": {"matchLabels": {"app": "other"}}, **NO_MTLS}),
        (SYSTEM_NAMESPACE, {"selector": {"matchLabels": {"app": "helloworld"}}, **NO_MTLS}),
        ("sample", STRICT),
        ("sample", {"mtls": {}}),
    ],
    ids=["another namespace", "another workload", "a workload of the root namespace", "strict", "unset"],
)
def test_policies_of_others_and_those_that_ask_for_more_break_nothing(
    universe: Universe, namespace: str, spec: Object
) -> None:
    for name in ("cluster1", "cluster2"):
        put(universe, name, PEER_AUTHENTICATION, spec, namespace)
    assert universe.heard("cluster1") == universe.heard("cluster2") == ["v1", "v2"]


def test_the_closer_policy_counts(universe: Universe) -> None:
    put(universe, "cluster1", PEER_AUTHENTICATION, NO_MTLS, SYSTEM_NAMESPACE)
    put(universe, "cluster1", PEER_AUTHENTICATION, {"mtls": {"mode": "PERMISSIVE"}})
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_strict_mtls_breaks_off_who_has_no_sidecar(universe: Universe) -> None:
    uninjected(universe, "cluster1")
    assert universe.heard("cluster1") == ["v1"]
    put(universe, "cluster1", PEER_AUTHENTICATION, STRICT)
    done = universe.ask("cluster1", 2)
    assert (done.stdout, done.stderr.splitlines(), done.code) == ("", [CUT_OFF] * 2, 56)


def test_on_one_network_a_server_without_mtls_speaks_plain_text() -> None:
    universe = Universe(2, flat=True)
    assert universe.heard("cluster1") == ["v1", "v2"]
    put(universe, "cluster2", PEER_AUTHENTICATION, NO_MTLS)
    assert "WRONG_VERSION_NUMBER" in bodies(universe.ask("cluster1"))
    put(universe, "cluster1", PEER_AUTHENTICATION, NO_MTLS)
    assert universe.heard("cluster1") == ["v1", "v2"]


# -- DestinationRule


def rule(mode: str | None = None, **more: Any) -> Object:
    policy: Object = {"tls": {"mode": mode}} if mode else {}
    return {"host": HOST, "trafficPolicy": policy, **more}


@pytest.mark.parametrize(
    ("namespace", "spec"),
    [
        ("sample", rule("DISABLE")),
        ("sample", rule("DISABLE", host="helloworld")),
        ("sample", rule("DISABLE", host="*.sample.svc.cluster.local")),
        (SYSTEM_NAMESPACE, rule("DISABLE")),
        (
            "sample",
            {
                "host": HOST,
                "trafficPolicy": {"portLevelSettings": [{"port": {"number": 5000}, "tls": {"mode": "DISABLE"}}]},
            },
        ),
    ],
    ids=["host", "short", "wildcard", "root namespace", "port"],
)
def test_plain_text_passes_no_gateway(universe: Universe, namespace: str, spec: Object) -> None:
    put(universe, "cluster1", DESTINATION_RULE, spec, namespace)
    done = universe.ask("cluster1")
    assert (universe.heard("cluster1"), bodies(done), done.stderr) == (["v1"], "", "")
    assert universe.ask("cluster2").stdout.count("Hello version: v2") == 6


def test_a_rule_for_plain_text_closes_the_gateway_too(universe: Universe) -> None:
    put(universe, "cluster2", DESTINATION_RULE, rule("DISABLE"))
    assert universe.ask("cluster1").stdout.count(RESET) == 6
    assert universe.heard("cluster2") == ["v2"]


def test_tls_of_another_kind_is_taken_by_nobody(universe: Universe) -> None:
    put(universe, "cluster1", DESTINATION_RULE, rule("SIMPLE"))
    assert universe.ask("cluster1", 4).stdout.count(RESET) == 4


def test_strict_servers_break_plain_text_off(universe: Universe) -> None:
    put(universe, "cluster1", PEER_AUTHENTICATION, STRICT)
    put(universe, "cluster1", DESTINATION_RULE, rule("DISABLE"))
    assert universe.ask("cluster1", 2).stdout.count("reset reason: connection termination") == 2


@pytest.mark.parametrize(
    ("namespace", "spec"),
    [
        ("sample", rule("ISTIO_MUTUAL")),
        ("sample", rule("DISABLE", host="helloworld.sample")),  # which has a dot, and so is no Service's short name
        ("sample", rule("DISABLE", exportTo=["default"])),
        ("default", rule("DISABLE")),
        (SYSTEM_NAMESPACE, rule("DISABLE", exportTo=["."])),
        ("sample", rule("DISABLE", workloadSelector={"matchLabels": {"app": "other"}})),
    ],
    ids=["Istio's own", "half a name", "exported elsewhere", "of others", "private to the root", "other clients"],
)
def test_rules_for_others_break_nothing(universe: Universe, namespace: str, spec: Object) -> None:
    put(universe, "cluster1", DESTINATION_RULE, spec, namespace)
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_a_rule_of_the_clients_namespace_goes_over_that_of_the_mesh(universe: Universe) -> None:
    put(universe, "cluster1", DESTINATION_RULE, rule("DISABLE"), SYSTEM_NAMESPACE)
    put(universe, "cluster1", DESTINATION_RULE, rule("ISTIO_MUTUAL"))
    assert universe.heard("cluster1") == ["v1", "v2"]


OUTLIERS = {"host": HOST, "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 5}}}


def regions(universe: Universe, *names: str) -> None:
    for machine, region in zip(universe.machines, names, strict=True):
        machine.change(
            Ref(NODE, machine.node_name),
            lambda node, region=region: node["metadata"]["labels"].update({"topology.kubernetes.io/region": region}),
        )


def test_with_outlier_detection_the_own_region_answers_alone(universe: Universe) -> None:
    put(universe, "cluster1", DESTINATION_RULE, OUTLIERS)
    assert universe.heard("cluster1") == ["v1", "v2"]
    regions(universe, "east", "east")
    assert universe.heard("cluster1") == ["v1", "v2"]
    regions(universe, "east", "west")
    assert universe.heard("cluster1") == ["v1"]
    universe.machine("cluster1").change(
        Ref(DESTINATION_RULE, "theirs", "sample"),
        lambda live: live["spec"]["trafficPolicy"].update(
            loadBalancer={"localityLbSetting": {"enabled": False}},
        ),
    )
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_without_it_regions_change_nothing(universe: Universe) -> None:
    regions(universe, "east", "west")
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_another_region_answers_when_the_own_does_not() -> None:
    universe = Universe(3)
    regions(universe, "east", "east", "west")
    put(universe, "cluster1", DESTINATION_RULE, OUTLIERS)
    assert universe.heard("cluster1") == ["v1", "v2"]
    universe.door("cluster1").delete(Ref(DEPLOYMENT, "helloworld-v1", "sample"))
    assert universe.heard("cluster1") == ["v2"]
    universe.machine("cluster2").blocked_ports.add(31443)
    assert universe.heard("cluster1") == ["v3"]


def test_a_service_that_prefers_what_is_close_stays_on_its_network(universe: Universe) -> None:
    universe.machine("cluster1").change(
        Ref(SERVICE, "helloworld", "sample"), lambda live: live["spec"].update(trafficDistribution="PreferClose")
    )
    assert universe.heard("cluster1") == ["v1"]
    assert universe.heard("cluster2") == ["v1", "v2"]


# -- VirtualService


def routes(*http: Object, **more: Any) -> Object:
    return {"hosts": [HOST], "http": list(http), **more}


TO_ALL: Object = {"route": [{"destination": {"host": HOST}}]}


def fault(**told: Any) -> Object:
    return routes({**TO_ALL, "fault": told})


def test_a_fault_aborts_before_anything_is_sent(universe: Universe) -> None:
    put(universe, "cluster1", VIRTUAL_SERVICE, fault(abort={"percentage": {"value": 100}, "httpStatus": 555}))
    assert universe.ask("cluster1", 3).stdout == "fault filter abort" * 3
    assert universe.heard("cluster2") == ["v1", "v2"]


def test_a_fault_befalls_as_many_as_it_says(universe: Universe) -> None:
    put(universe, "cluster1", VIRTUAL_SERVICE, fault(abort={"percentage": {"value": 50}, "httpStatus": 500}))
    assert universe.ask("cluster1", 100).stdout.count("fault filter abort") == 50


def test_a_delay_beyond_patience_times_out(universe: Universe) -> None:
    put(universe, "cluster1", VIRTUAL_SERVICE, fault(delay={"percentage": {"value": 100}, "fixedDelay": "1m"}))
    assert universe.ask("cluster1", 2).stderr.splitlines() == [TIMEOUT] * 2
    universe.machine("cluster1").change(
        Ref(VIRTUAL_SERVICE, "theirs", "sample"),
        lambda live: live["spec"]["http"][0]["fault"]["delay"].update(fixedDelay="100ms"),
    )
    assert universe.heard("cluster1") == ["v1", "v2"]


@pytest.mark.parametrize(
    "destination",
    [{"host": "nowhere"}, {"host": HOST, "subset": "v9"}, {"host": HOST, "port": {"number": 80}}],
    ids=["host", "subset", "port"],
)
def test_a_route_to_what_is_not_there_says_nothing_at_all(universe: Universe, destination: Object) -> None:
    put(universe, "cluster1", VIRTUAL_SERVICE, routes({"route": [{"destination": destination}]}))
    done = universe.ask("cluster1", 2)
    assert (done.stdout, done.stderr, done.code) == ("", "", 0)
    told = universe.ask("cluster1", 1, "-w", "%{http_code}")
    assert told.stdout == "503"


def test_a_route_to_a_subset_reaches_that_alone(universe: Universe) -> None:
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2", "v3")]
    put(universe, "cluster1", DESTINATION_RULE, {"host": HOST, "subsets": subsets})
    put(universe, "cluster1", VIRTUAL_SERVICE, routes({"route": [{"destination": {"host": HOST, "subset": "v2"}}]}))
    assert universe.heard("cluster1") == ["v2"]
    universe.machine("cluster1").change(
        Ref(VIRTUAL_SERVICE, "theirs", "sample"),
        lambda live: live["spec"]["http"][0]["route"][0]["destination"].update(subset="v3"),
    )
    assert universe.ask("cluster1", 2).stdout == "no healthy upstream" * 2


def test_a_route_shares_by_weight(universe: Universe) -> None:
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    put(universe, "cluster1", DESTINATION_RULE, {"host": HOST, "subsets": subsets})
    shares = [
        {"destination": {"host": HOST, "subset": name}, "weight": weight} for name, weight in (("v1", 75), ("v2", 25))
    ]
    put(universe, "cluster1", VIRTUAL_SERVICE, routes({"route": shares}))
    answers = universe.ask("cluster1", 8).stdout
    assert (answers.count("version: v1"), answers.count("version: v2")) == (6, 2)


def test_what_no_route_takes_is_not_found(universe: Universe) -> None:
    other = routes({"match": [{"uri": {"prefix": "/other"}}], **TO_ALL})
    put(universe, "cluster1", VIRTUAL_SERVICE, other)
    assert universe.ask("cluster1", 1, "-w", "%{http_code}").stdout == "404"


def test_a_route_has_patience_of_its_own(universe: Universe) -> None:
    universe.machine("cluster2").blocked_ports.add(31443)
    put(universe, "cluster1", VIRTUAL_SERVICE, routes({**TO_ALL, "timeout": "1s"}))
    assert bodies(universe.ask("cluster1", 2)) == "upstream request timeout"


@pytest.mark.parametrize(
    "spec",
    [
        {**fault(abort={"percentage": {"value": 100}, "httpStatus": 500}), "gateways": ["istio-system/shop"]},
        {**fault(abort={"percentage": {"value": 100}, "httpStatus": 500}), "exportTo": ["default"]},
        {**fault(abort={"percentage": {"value": 100}, "httpStatus": 500}), "hosts": ["curl"]},
        fault(abort={"httpStatus": 500}),
        routes(
            {"match": [{"headers": {"end-user": {"exact": "jason"}}}], "directResponse": {"status": 418}},
            TO_ALL,
        ),
        routes(TO_ALL, {"directResponse": {"status": 418}}),
    ],
    ids=[
        "of a gateway",
        "exported elsewhere",
        "of another host",
        "without a percentage",
        "by a header",
        "a later route",
    ],
)
def test_routes_for_others_break_nothing(universe: Universe, spec: Object) -> None:
    put(universe, "cluster1", VIRTUAL_SERVICE, spec)
    assert universe.heard("cluster1") == ["v1", "v2"]


# -- AuthorizationPolicy


@pytest.mark.parametrize(
    "spec",
    [
        {"action": "DENY", "rules": [{}]},
        {},
        {"action": "ALLOW"},
        {"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["GET"], "paths": ["/hello*"]}}]}]},
        {"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["sample"]}}]}]},
        {"rules": [{"from": [{"source": {"principals": ["*/sa/other"]}}]}]},
        {"selector": {"matchLabels": {"app": "helloworld"}}, "action": "DENY", "rules": [{}]},
    ],
    ids=["deny", "allow nothing", "allow nothing, said", "by path", "by namespace", "allow others", "by selector"],
)
def test_a_server_that_may_not_answer_says_so(universe: Universe, spec: Object) -> None:
    put(universe, "cluster2", AUTHORIZATION_POLICY, spec)
    assert bodies(universe.ask("cluster1", 4)) == "RBAC: access denied" * 2
    assert bodies(universe.ask("cluster2", 4)) == "RBAC: access denied" * 2
    assert universe.heard("cluster1") == universe.heard("cluster2") == ["v1"]


@pytest.mark.parametrize(
    "spec",
    [
        {"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["POST"]}}]}]},
        {"action": "DENY", "rules": [{"from": [{"source": {"notNamespaces": ["sample"]}}]}]},
        {"action": "DENY"},
        {"action": "AUDIT", "rules": [{}]},
        {"rules": [{"from": [{"source": {"principals": ["cluster.local/ns/sample/sa/*"]}}]}]},
        {"rules": [{"when": [{"key": "source.namespace", "values": ["sample"]}]}]},
        {"selector": {"matchLabels": {"app": "curl"}}, "action": "DENY", "rules": [{}]},
    ],
    ids=["another method", "not of it", "deny nothing", "audit", "allow it", "on a condition", "another workload"],
)
def test_policies_that_let_it_pass_break_nothing(universe: Universe, spec: Object) -> None:
    put(universe, "cluster2", AUTHORIZATION_POLICY, spec)
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_without_a_sidecar_a_client_is_nobody(universe: Universe) -> None:
    uninjected(universe, "cluster1")
    allowed = {"rules": [{"from": [{"source": {"namespaces": ["sample"]}}]}]}
    put(universe, "cluster1", AUTHORIZATION_POLICY, allowed)
    assert universe.ask("cluster1", 2).stdout == "RBAC: access denied" * 2


def test_a_policy_of_the_whole_mesh_is_held_to_by_servers_and_by_old_gateways() -> None:
    for version, said in (("1.29.1", "RBAC: access denied"), ("1.19.0", RESET)):
        universe = Universe(2, version=version)
        put(universe, "cluster2", AUTHORIZATION_POLICY, {"action": "DENY", "rules": [{}]}, SYSTEM_NAMESPACE)
        assert universe.ask("cluster1", 4).stdout.count(said) == 2
        assert universe.heard("cluster1") == ["v1"]
        assert bodies(universe.ask("cluster2", 4)) == "RBAC: access denied" * 2


# -- Sidecar and exportTo


@pytest.mark.parametrize(
    ("namespace", "hosts"),
    [
        ("sample", ["istio-system/*"]),
        (SYSTEM_NAMESPACE, ["istio-system/*"]),
        ("sample", ["./other.sample.svc.cluster.local"]),
        ("sample", ["~/*"]),
    ],
    ids=["namespace", "mesh", "another host", "nothing"],
)
def test_what_a_proxy_is_not_to_see_it_passes_to_its_own_cluster(
    universe: Universe, namespace: str, hosts: list[str]
) -> None:
    put(universe, "cluster1", SIDECAR, {"egress": [{"hosts": hosts}]}, namespace)
    done = universe.ask("cluster1")
    assert (universe.heard("cluster1"), bodies(done), done.stderr) == (["v1"], "", "")
    assert universe.heard("cluster2") == ["v1", "v2"]
    put(universe, "cluster1", PEER_AUTHENTICATION, STRICT)
    assert universe.ask("cluster1", 2).stderr.splitlines() == [CUT_OFF] * 2  # it passes in plain text


def test_what_is_unknown_may_be_kept_from_passing(universe: Universe) -> None:
    put(universe, "cluster1", SIDECAR, {"egress": [{"hosts": ["istio-system/*"]}]})
    mesh_config(universe, "cluster1", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})
    assert universe.ask("cluster1", 2).stderr.splitlines() == [CUT_OFF] * 2


@pytest.mark.parametrize(
    "spec",
    [
        {"egress": [{"hosts": ["./*", "istio-system/*"]}]},
        {"egress": [{"hosts": ["*/*.svc.cluster.local"]}]},
        {"workloadSelector": {"labels": {"app": "other"}}, "egress": [{"hosts": ["istio-system/*"]}]},
        {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
    ],
    ids=["its own namespace", "by host", "of others", "without egress"],
)
def test_sidecars_that_take_it_in_break_nothing(universe: Universe, spec: Object) -> None:
    put(universe, "cluster1", SIDECAR, spec)
    assert universe.heard("cluster1") == ["v1", "v2"]


def export(value: str) -> Callable[[Object], None]:
    return lambda live: live["metadata"].setdefault("annotations", {}).update({"networking.istio.io/exportTo": value})


@pytest.mark.parametrize(
    ("value", "own", "others"),
    [
        ("~", ["v2"], ["v1"]),
        ("default", ["v2"], ["v1"]),
        (".", ["v1", "v2"], ["v1"]),
        ("*", ["v1", "v2"], ["v1", "v2"]),
    ],
)
def test_a_service_that_is_not_exported_is_unknown_to_the_gateway(
    universe: Universe, value: str, own: list[str], others: list[str]
) -> None:
    universe.machine("cluster2").change(Ref(SERVICE, "helloworld", "sample"), export(value))
    assert (universe.heard("cluster2"), universe.heard("cluster1")) == (own, others)
    assert (RESET in bodies(universe.ask("cluster1"))) is ("v2" not in others)


# -- the Service


@pytest.mark.parametrize("cluster", ["cluster1", "cluster2"])
def test_ports_of_another_name_are_of_another_service(universe: Universe, cluster: str) -> None:
    universe.machine(cluster).change(
        Ref(SERVICE, "helloworld", "sample"), lambda live: live["spec"]["ports"][0].update(name="tcp-other")
    )
    done = universe.ask("cluster1")
    assert (universe.heard("cluster1"), bodies(done), done.stderr) == (["v1"], "", "")
    assert universe.heard("cluster2") == ["v2"]


def test_a_port_of_another_number_is_unknown_to_the_gateway(universe: Universe) -> None:
    universe.machine("cluster2").change(
        Ref(SERVICE, "helloworld", "sample"), lambda live: live["spec"]["ports"][0].update(port=5001)
    )
    assert universe.ask("cluster1").stdout.count(RESET) == 6
    assert universe.heard("cluster1") == ["v1"]


def test_where_proxies_read_no_http_nothing_says_why(universe: Universe) -> None:
    for name in ("cluster1", "cluster2"):
        universe.machine(name).change(
            Ref(SERVICE, "helloworld", "sample"), lambda live: live["spec"]["ports"][0].update(name="tcp-hello")
        )
    assert universe.heard("cluster1") == ["v1", "v2"]
    put(universe, "cluster2", AUTHORIZATION_POLICY, {"action": "DENY", "rules": [{}]})
    done = universe.ask("cluster1", 4)
    assert (bodies(done), done.stderr.splitlines()) == ("", [CUT_OFF] * 2)


def test_a_headless_service_answers_from_its_own_cluster(universe: Universe) -> None:
    door = universe.door("cluster1")
    service = door.get(Ref(SERVICE, "helloworld", "sample"))
    assert service is not None
    door.delete(Ref(SERVICE, "helloworld", "sample"))
    headless = {"ports": service["spec"]["ports"], "selector": service["spec"]["selector"], "clusterIP": "None"}
    door.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "helloworld", "namespace": "sample"},
            "spec": headless,
        }
    )
    assert universe.heard("cluster1") == ["v1"]
    assert universe.heard("cluster2") == ["v1", "v2"]


# -- meshConfig


def test_a_host_that_is_local_to_its_cluster_answers_from_there(universe: Universe) -> None:
    settings = [{"settings": {"clusterLocal": True}, "hosts": ["*.sample.svc.cluster.local"]}]
    mesh_config(universe, "cluster1", serviceSettings=settings)
    assert universe.heard("cluster1") == ["v1"]
    assert universe.heard("cluster2") == ["v1", "v2"]
    settings.append({"settings": {"clusterLocal": False}, "hosts": [HOST]})
    mesh_config(universe, "cluster1", serviceSettings=settings)
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_aliases_make_one_of_two_trust_domains(universe: Universe) -> None:
    mesh_config(universe, "cluster2", trustDomain="other.example")
    assert CERTIFICATE in bodies(universe.ask("cluster1"))
    mesh_config(universe, "cluster1", trustDomainAliases=["other.example"])
    assert universe.heard("cluster1") == ["v1", "v2"]


# -- NetworkPolicy


def ingress(**selector: str) -> Object:
    return {"podSelector": {"matchLabels": selector} if selector else {}, "policyTypes": ["Ingress"]}


@pytest.mark.parametrize(
    "broken",
    [
        putting("cluster2", NETWORK_POLICY, ingress()),
        putting("cluster2", NETWORK_POLICY, ingress(app="helloworld")),
        putting("cluster2", NETWORK_POLICY, ingress(istio="eastwestgateway"), SYSTEM_NAMESPACE),
        putting(
            "cluster2",
            NETWORK_POLICY,
            {**ingress(), "ingress": [{"from": [{"podSelector": {}}]}]},
        ),
        putting("cluster2", NETWORK_POLICY, {"podSelector": {}, "policyTypes": ["Egress"]}, SYSTEM_NAMESPACE),
        putting(
            "cluster1",
            NETWORK_POLICY,
            {"podSelector": {"matchLabels": {"app": "curl"}}, "egress": [{"to": [{"podSelector": {}}]}]},
        ),
    ],
    ids=["namespace", "server", "gateway", "only its namespace", "gateway's way out", "client's way out"],
)
def test_what_a_network_plugin_drops_times_out(universe: Universe, broken: Break) -> None:
    broken(universe)
    done = universe.ask("cluster1", 4)
    assert done.stderr.splitlines() == [TIMEOUT] * 2
    assert universe.heard("cluster1") == ["v1"]


@pytest.mark.parametrize(
    "spec",
    [
        {**ingress(), "ingress": [{}]},
        {**ingress(), "ingress": [{"from": [{"namespaceSelector": {}}]}]},
        {
            **ingress(),
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM_NAMESPACE}},
                            "podSelector": {"matchLabels": {"istio": "eastwestgateway"}},
                        },
                        {"podSelector": {}},
                    ],
                    "ports": [{"port": 5000}],
                }
            ],
        },
        ingress(app="other"),
    ],
    ids=["all", "every namespace", "the gateway", "another workload"],
)
def test_network_policies_that_allow_it_break_nothing(universe: Universe, spec: Object) -> None:
    put(universe, "cluster2", NETWORK_POLICY, spec)
    assert universe.heard("cluster1") == universe.heard("cluster2") == ["v1", "v2"]


# -- gateways


def test_of_two_addresses_one_that_is_dead_fails_half_of_the_requests(universe: Universe) -> None:
    dead = {"address": "192.0.2.99", "port": 15443}
    networks(lambda all_: all_["network2"]["gateways"].append(dead))(universe)
    done = universe.ask("cluster1", 16)
    answers = [done.stdout.count(f"Hello version: {version}") for version in ("v1", "v2")]
    assert (answers, done.stderr.splitlines()) == ([8, 4], [TIMEOUT] * 4)


def test_a_gateway_without_pods_refuses(universe: Universe) -> None:
    universe.machine("cluster2").change(system(DEPLOYMENT, GATEWAY_NAME), lambda live: live["spec"].update(replicas=0))
    assert universe.ask("cluster1", 4).stdout.count(REFUSED) == 2


# -- what an istiod knows


def status(universe: Universe, cluster: str = "cluster1") -> dict[str, str]:
    return {each["id"]: each["syncStatus"] for each in pages.clusterz(universe.machine(cluster))}


def without(resource: str) -> Callable[[Object], None]:
    def edit(role: Object) -> None:
        for each in role["rules"]:
            each["resources"] = [name for name in each["resources"] if name != resource]

    return edit


def role_trimmed(universe: Universe) -> None:
    role = Ref(CLUSTER_ROLE, "istio-reader-clusterrole-istio-system")
    universe.machine("cluster2").change(role, without("endpointslices"))


def binding_gone(universe: Universe) -> None:
    universe.door("cluster2").delete(Ref(CLUSTER_ROLE_BINDING, "istio-reader-clusterrole-istio-system"))


def token_gone(universe: Universe) -> None:
    token = "istio-reader-service-account-istio-remote-secret-token"
    universe.door("cluster2").delete(system(SECRET, token))


def server_away(universe: Universe) -> None:
    universe.machine("cluster2").unreachable = True


@pytest.mark.parametrize("broken", [role_trimmed, binding_gone, token_gone, server_away])
def test_what_istiod_has_read_it_knows_and_what_it_has_not_it_cannot_read(universe: Universe, broken: Break) -> None:
    assert universe.heard("cluster1") == ["v1", "v2"]
    broken(universe)
    assert universe.heard("cluster1") == ["v1", "v2"]
    assert status(universe) == {"cluster1": "synced", "cluster2": "synced"}
    universe.restart_pods("cluster1", SYSTEM_NAMESPACE)
    assert universe.heard("cluster1") == ["v1"]
    assert status(universe) == {"cluster1": "synced", "cluster2": "timeout"}


def test_istiod_waits_before_it_gives_a_cluster_up(universe: Universe) -> None:
    role_trimmed(universe)
    universe.outside.pace.speed = 1000
    assert status(universe)["cluster2"] == "syncing"


def test_an_istiod_that_may_not_read_its_own_cluster_is_never_ready(universe: Universe) -> None:
    role = Ref(CLUSTER_ROLE, "istiod-clusterrole-istio-system")
    universe.machine("cluster1").change(role, without("services"))  # which its role for gateways allows as well
    universe.restart_pods("cluster1", SYSTEM_NAMESPACE)
    assert universe.heard("cluster1") == ["v1", "v2"]
    universe.machine("cluster1").change(role, without("endpointslices"))
    assert universe.heard("cluster1") == ["v1", "v2"]
    universe.restart_pods("cluster1", SYSTEM_NAMESPACE)
    (pod,) = universe.door("cluster1").objects(POD, SYSTEM_NAMESPACE, "app=istiod")
    assert pod["status"]["conditions"][-1]["status"] == "False"


def test_proxies_keep_what_they_were_told_while_istiod_is_away(universe: Universe) -> None:
    assert universe.heard("cluster1") == ["v1", "v2"]
    universe.machine("cluster1").change(system(DEPLOYMENT, "istiod"), lambda live: live["spec"].update(replicas=0))
    put(universe, "cluster1", SIDECAR, {"egress": [{"hosts": ["istio-system/*"]}]})
    assert universe.heard("cluster1") == ["v1", "v2"]


def test_what_stands_in_a_remote_configures_nobody(tmp_path: Path) -> None:
    town = made(tmp_path)
    both = {"v1", "v2"}
    for name, heard in (("cluster2", [both, both]), ("cluster1", [{"v1"}, {"v2"}])):
        manifest = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "spec": NO_MTLS}
        manifest["metadata"] = {"name": "theirs", "namespace": "sample"}
        town.machine(name).apply_as("somebody", manifest)
        assert [town.heard("cluster1"), town.heard("cluster2")] == heard
