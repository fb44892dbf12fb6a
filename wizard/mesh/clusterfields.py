"""The questions about one cluster of the mesh, as `fields.py` has those about all of it."""

from __future__ import annotations

from wizard.mesh import values
from wizard.mesh.field import Choice, Field
from wizard.mesh.model import DEFAULT_NODE_PORT, Cluster
from wizard.messages import msg

CLUSTER_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        "name",
        msg("Cluster name"),
        msg("The one name of this cluster: clusterName, remote secret, meshNetworks registry."),
        scope="cluster",
        required=True,
        rule=values.DNS_LABEL,
    ),
    Field(
        "kubeconfig",
        "kubeconfig",
        msg("Kubeconfig"),
        msg("The file that holds the context. Default: what kubectl would use. It is only read."),
        scope="cluster",
        kind="path",
    ),
    Field(
        "context",
        "context",
        msg("Context"),
        msg("The kubeconfig context that reaches this cluster."),
        scope="cluster",
        required=True,
    ),
    Field(
        "network",
        "network",
        msg("Network"),
        msg(
            "Pods of one network reach each other directly. Clusters whose pods cannot are on different networks and meet at "
            "east-west gateways; the label topology.istio.io/network of istio-system says which."
        ),
        scope="cluster",
        required=True,
        rule=values.NETWORK,
    ),
    Field(
        "role",
        "role",
        msg("Role"),
        msg("primary: runs its own istiod. remote: is served by another cluster's."),
        scope="cluster",
        kind="choice",
        default=Cluster.role,
        required=True,
        choices=(Choice("primary", msg("Primary")), Choice("remote", msg("Remote"))),
    ),
    Field(
        "primary",
        "primary",
        msg("Primary"),
        msg("For a remote: the cluster whose istiod serves it. Default: the only primary."),
        scope="cluster",
        rule=values.DNS_LABEL,
    ),
    Field(
        "discoveryAddress",
        "discovery",
        msg("Discovery address"),
        msg(
            "For a remote: where its proxies reach the primary's istiod, on ports 15012 and 15017. Default: where the primary's "
            "gateway is reached."
        ),
        scope="cluster",
        found=True,
        rule=values.HOST,
    ),
    Field(
        "apiServer",
        "api_server",
        msg("API server for peers"),
        msg(
            "The address at which the other clusters' istiod reach this API server. Default: the kubeconfig's, "
            "unless that means this machine."
        ),
        scope="cluster",
        found=True,
        rule=values.API_SERVER,
    ),
    Field(
        "serviceCidr",
        "service_cidr",
        msg("Service CIDR"),
        msg(
            "The range of this cluster's Service addresses, for those who route there (cluster-ip-route). Default: asked of the "
            "API server."
        ),
        scope="cluster",
        found=True,
        rule=values.CIDR,
    ),
    Field(
        "gateway.exposure",
        "gateway.exposure",
        msg("Gateway exposure"),
        msg(
            "How the other clusters reach this cluster's east-west gateway. Default: node-port, which needs nothing; "
            "external-ips for a primary with remotes, whose proxies need the ports 15012 and 15017 as they are."
        ),
        scope="cluster",
        kind="choice",
        found=True,
        choices=(
            Choice("node-port", msg("A node's address and a NodePort")),
            Choice("external-ips", msg("A node's address on the Service")),
            Choice("load-balancer", msg("A load balancer")),
            Choice("cluster-ip-route", msg("The Service's own address, by a route on the peers' nodes")),
        ),
    ),
    Field(
        "gateway.address",
        "gateway.address",
        msg("Gateway address"),
        msg(
            "Where the other clusters reach the gateway. Default: a ready node's InternalIP; for load-balancer what it gives; "
            "for cluster-ip-route a free Service address."
        ),
        scope="cluster",
        found=True,
        rule=values.HOST,
    ),
    Field(
        "gateway.addresses",
        "gateway.more",
        msg("Gateway addresses"),
        msg(
            "In place of gateway.address where there are several, such as those of two nodes: all stand in meshNetworks, "
            "and callers spread over them. Not for cluster-ip-route."
        ),
        scope="cluster",
        kind="texts",
        rule=values.HOST,
    ),
    Field(
        "gateway.port",
        "gateway.port",
        msg("Gateway NodePort"),
        msg(
            "For node-port: the NodePort of port 15443, in the API server's range. Default: {port}, or the next one "
            "that every cluster has and that is free in all. The other exposures answer on 15443.",
            port=DEFAULT_NODE_PORT,
        ),
        scope="cluster",
        kind="integer",
        found=True,
        rule=values.NODE_PORT,
    ),
    Field(
        "gateway.node",
        "gateway.node",
        msg("Route by node"),
        msg(
            "For cluster-ip-route: the node address of this cluster over which the peers' nodes route to its Services. Default: "
            "a ready node's InternalIP."
        ),
        scope="cluster",
        found=True,
        rule=values.ADDRESS,
    ),
    Field(
        "gateway.annotations",
        "gateway.annotations",
        msg("Gateway annotations"),
        msg("Annotations of the gateway's Service, such as those that ask a cloud for an internal load balancer."),
        scope="cluster",
        kind="yaml",
        rule=values.ANNOTATIONS,
        held=values.HELD_ANNOTATIONS,
    ),
    Field(
        "overlays",
        "overlays",
        msg("Cluster's overlays"),
        msg(
            "IstioOperator files for this cluster alone, merged over those of istio.overlays. Relative to the mesh file."
        ),
        scope="cluster",
        kind="paths",
    ),
    Field(
        "sample",
        "sample",
        msg("Sample version"),
        msg(
            "The helloworld version that tells this cluster's answers from the others'. Default: v1 for the first cluster, v2 "
            "for the second, and so on."
        ),
        scope="cluster",
        found=True,
        rule=values.SAMPLE_VERSION,
    ),
)
