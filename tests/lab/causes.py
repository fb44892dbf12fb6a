"""The causes that are injected into a verified mesh on real clusters, and what must be named first for each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.lab.breaks import (
    GATEWAY,
    SAMPLE,
    SYSTEM,
    added,
    anew,
    api_away,
    closed,
    deleted,
    doubled,
    edited,
    kubeconfig,
    mesh_networks,
    other_node_port,
    other_root,
    other_trust_domain,
    policy,
    regions,
    renamed_key,
    revoked,
    scaled,
    set_label,
    uninjected,
    without,
)
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab

HOST = "helloworld.sample.svc.cluster.local"
NETWORKING, SECURITY = "networking.istio.io/v1", "security.istio.io/v1"
TLS_OFF = {"host": HOST, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
OUTLIER = {
    "host": HOST,
    "trafficPolicy": {
        "outlierDetection": {"consecutive5xxErrors": 5, "interval": "5s", "baseEjectionTime": "30s"},
    },
}
ABORT = {"hosts": [HOST], "http": [{"fault": {"abort": {"percentage": {"value": 100}, "httpStatus": 555}},
                                    "route": [{"destination": {"host": HOST}}]}]}  # fmt: skip
NARROW = {"egress": [{"hosts": ["istio-system/*"]}]}
NO_MTLS = {"mtls": {"mode": "DISABLE"}}


@dataclass(frozen=True)
class Break:
    """One cause. `checks`: those that may be named first for it; `object`: what the finding's object must contain."""

    name: str
    make: Callable[[Lab], AbstractContextManager[None]]
    checks: tuple[str, ...]
    object: str
    traffic: bool = True  # whether answers stop: else the diagnosis warns of it, or names what will break


def of(topology: str) -> list[Break]:
    """The ways to break a mesh of two clusters of that topology: cluster1 is asked from, cluster2 is what does not answer."""
    remote = topology == "primary-remote"
    own = 0 if remote else 1  # whose istiod configures cluster2
    secret = "istio-remote-secret-cluster2"
    port = 31443

    def one(lab: Lab) -> Cluster:
        return lab.clusters[0]

    def two(lab: Lab) -> Cluster:
        return lab.clusters[1]

    def control(lab: Lab) -> Cluster:
        return lab.clusters[own]

    wide = policy(SECURITY, "AuthorizationPolicy", {"action": "DENY", "rules": [{}]}, namespace=SYSTEM)
    isolated = policy("networking.k8s.io/v1", "NetworkPolicy", {"podSelector": {}, "policyTypes": ["Ingress"]})
    listed = [
        Break(
            "port-dropped", lambda lab: closed(two(lab), one(lab), port, reject=False), ("gateway-path",), f":{port}"
        ),
        Break("port-reset", lambda lab: closed(two(lab), one(lab), port, reject=True), ("gateway-path",), f":{port}"),
        Break("gateway-scaled", lambda lab: scaled(two(lab), GATEWAY), ("gateway-pods",), f"Deployment {GATEWAY}"),
        Break(
            "gateway-service",
            lambda lab: deleted(two(lab), "service", GATEWAY),
            ("gateway-service",),
            f"Service {GATEWAY}",
            traffic=False,
        ),
        Break(
            "network-label",
            lambda lab: edited(two(lab), "namespace", SYSTEM, set_label("topology.istio.io/network", "other"), ""),
            ("network-label",),
            f"Namespace {SYSTEM}",
            traffic=False,
        ),
        Break("secret-gone", lambda lab: deleted(one(lab), "secret", secret), ("remote-secret",), f"Secret {secret}"),
        Break(
            "secret-server",
            lambda lab: anew(
                one(lab),
                secret,
                kubeconfig("cluster2", lambda c: c["clusters"][0]["cluster"].update(server="https://127.0.0.1:6443")),
            ),
            ("remote-secret-server",),
            f"Secret {secret}",
        ),
        Break(
            "secret-key",
            lambda lab: anew(one(lab), secret, renamed_key("cluster2", "other")),
            ("remote-secret",),
            f"Secret {secret}",
        ),
        Break(
            "secret-label",
            lambda lab: edited(one(lab), "secret", secret, set_label("istio/multiCluster", None)),
            ("remote-secret",),
            f"Secret {secret}",
        ),
        Break(
            "reader-role",
            lambda lab: edited(
                two(lab), "clusterrole", "istio-reader-clusterrole-istio-system", without("endpointslices"), ""
            ),
            ("reader-rights",),
            "istio-reader",
            traffic=False,
        ),
        Break(
            "reader-binding",
            lambda lab: deleted(two(lab), "clusterrolebinding", "istio-reader-clusterrole-istio-system", ""),
            ("reader-rights",),
            "istio-reader",
            traffic=False,
        ),
        Break(
            "secret-double",
            lambda lab: added(one(lab), doubled(one(lab), secret)),
            ("remote-secret-doubles",),
            "Secret",
            traffic=False,
        ),
        Break(
            "networks-port",
            lambda lab: edited(
                one(lab), "configmap", "istio", mesh_networks(lambda n: n["network2"]["gateways"][0].update(port=15999))
            ),
            ("mesh-networks",),
            "ConfigMap istio",
        ),
        Break(
            "networks-gone",
            lambda lab: edited(one(lab), "configmap", "istio", mesh_networks(lambda n: n.pop("network2"))),
            ("mesh-networks",),
            "ConfigMap istio",
        ),
        Break(
            "networks-two",
            lambda lab: edited(
                one(lab),
                "configmap",
                "istio",
                mesh_networks(lambda n: n["network2"]["gateways"].append({"address": "192.0.2.99", "port": 15443})),
            ),
            ("mesh-networks", "networkz"),
            "ConfigMap istio",
            traffic=False,
        ),
        Break(
            "gateway-object",
            lambda lab: deleted(control(lab), "gateways.networking.istio.io", "cross-network-gateway"),
            ("gateway-open",),
            "Gateway cross-network-gateway",
        ),
        Break(
            "gateway-selector",
            lambda lab: edited(
                control(lab),
                "gateways.networking.istio.io",
                "cross-network-gateway",
                lambda live: live["spec"].update(selector={"istio": "nothing"}),
            ),
            ("gateway-open",),
            "Gateway cross-network-gateway",
        ),
        Break(
            "gateway-denied",
            lambda lab: added(control(lab), wide),
            ("gateway-policy", "authorization"),
            "AuthorizationPolicy",
        ),
        Break("no-sidecar", lambda lab: uninjected(two(lab), SAMPLE, "helloworld-v2"), ("sidecars",), "Pod"),
        Break(
            "server-down", lambda lab: scaled(two(lab), "helloworld-v2", SAMPLE), ("server", "service"), "helloworld"
        ),
        Break("client-gone", lambda lab: scaled(one(lab), "curl", SAMPLE), ("client",), "Deployment curl"),
        Break(
            "service-gone",
            lambda lab: deleted(two(lab), "service", "helloworld", SAMPLE),
            ("service",),
            "Service helloworld",
        ),
        Break(
            "port-renamed",
            lambda lab: edited(
                two(lab),
                "service",
                "helloworld",
                lambda live: live["spec"]["ports"][0].update(name="tcp-other"),
                SAMPLE,
            ),
            ("service",),
            "Service helloworld",
        ),
        Break(
            "plaintext-rule",
            lambda lab: added(one(lab), policy(NETWORKING, "DestinationRule", TLS_OFF)),
            ("destination-rule",),
            "DestinationRule theirs",
        ),
        Break(
            "aborted",
            lambda lab: added(one(lab), policy(NETWORKING, "VirtualService", ABORT)),
            ("virtual-service",),
            "VirtualService theirs",
        ),
        Break(
            "denied",
            lambda lab: added(control(lab), policy(SECURITY, "AuthorizationPolicy", {"action": "DENY", "rules": [{}]})),
            ("authorization",),
            "AuthorizationPolicy theirs",
        ),
        Break(
            "allow-nothing",
            lambda lab: added(control(lab), policy(SECURITY, "AuthorizationPolicy", {})),
            ("authorization",),
            "AuthorizationPolicy theirs",
        ),
        Break(
            "narrow-sidecar",
            lambda lab: added(one(lab), policy(NETWORKING, "Sidecar", NARROW)),
            ("sidecar-scope",),
            "Sidecar theirs",
        ),
        Break(
            "plaintext-server",
            lambda lab: added(control(lab), policy(SECURITY, "PeerAuthentication", NO_MTLS)),
            ("mtls",),
            "PeerAuthentication theirs",
        ),
        Break(
            "export-to",
            lambda lab: edited(
                control(lab),
                "service",
                "helloworld",
                set_label("networking.istio.io/exportTo", "~", "annotations"),
                SAMPLE,
            ),
            ("export-to",),
            "Service helloworld",
        ),
        Break(
            "isolated",
            lambda lab: added(two(lab), isolated),
            ("network-policy",),
            "NetworkPolicy theirs",
            traffic=False,
        ),
        Break(
            "locality",
            lambda lab: regions(lab, policy(NETWORKING, "DestinationRule", OUTLIER)),
            ("locality",),
            "DestinationRule theirs",
        ),
        Break("istiod-down", lambda lab: scaled(one(lab), "istiod"), ("istiod",), "Deployment istiod", traffic=False),
        Break(
            "istiod-rights",
            lambda lab: edited(one(lab), "clusterrole", "istiod-clusterrole-istio-system", without("nodes"), ""),
            ("istiod-rights",),
            "istiod-clusterrole",
            traffic=False,
        ),
        Break(
            "webhook-gone",
            lambda lab: deleted(one(lab), "mutatingwebhookconfiguration", "istio-sidecar-injector", ""),
            ("injector",),
            "istio-sidecar-injector",
            traffic=False,
        ),
        Break("api-away", lambda lab: api_away(two(lab)), ("api-server",), "API server", traffic=False),
        Break(
            "token-revoked", lambda lab: revoked(two(lab)), ("remote-secret-token",), f"Secret {secret}", traffic=False
        ),
    ]
    if not remote:
        listed += [
            Break(
                "port-changed",
                lambda lab: edited(two(lab), "service", GATEWAY, other_node_port),
                ("gateway-service",),
                f"Service {GATEWAY}",
                traffic=False,
            ),
            Break(
                "plaintext-client",
                lambda lab: added(one(lab), policy(SECURITY, "PeerAuthentication", NO_MTLS)),
                ("mtls",),
                "PeerAuthentication theirs",
            ),
            Break("roots-differ", lambda lab: other_root(two(lab), "v2", restart=True), ("roots",), "Secret cacerts"),
            Break(
                "cacerts-late",
                lambda lab: other_root(two(lab), "v2", restart=False),
                ("cacerts-late",),
                "Secret cacerts",
                traffic=False,
            ),
            Break("trust-domain", lambda lab: other_trust_domain(two(lab), "v2"), ("trust-domain",), "ConfigMap istio"),
        ]
    else:
        listed += [
            Break(
                "discovery-gone",
                lambda lab: deleted(one(lab), "gateways.networking.istio.io", "istiod-gateway"),
                ("discovery-open",),
                "Gateway istiod-gateway",
                traffic=False,
            ),
            Break(
                "not-led",
                lambda lab: edited(
                    two(lab),
                    "namespace",
                    SYSTEM,
                    set_label("topology.istio.io/controlPlaneClusters", None, "annotations"),
                    "",
                ),
                ("external-istiod",),
                f"Namespace {SYSTEM}",
                traffic=False,
            ),
        ]
    return listed
