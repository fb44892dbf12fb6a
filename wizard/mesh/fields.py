"""Every question of the wizard, declared once: key, place in the model, title, help, kind, default, choices, rule.

Screens, prompts, command line flags, the mesh file, its schema and the model all follow these declarations; nobody else states a
default or a rule about a single field. Rules that look at several fields at once are in `rules.py`.
"""

from __future__ import annotations

from wizard.mesh import values
from wizard.mesh.field import Choice, Field, Value
from wizard.mesh.model import DEFAULT_NODE_PORT, Certificates, Cluster, Istio, Mesh, Verify

__all__ = ["CLUSTER_FIELDS", "MESH_FIELDS", "Choice", "Field", "Value", "cluster_field", "mesh_field"]

MESH_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        "name",
        "Mesh name",
        "The mesh's ID (meshID). It also names the saved state: `meshwizard resume NAME`.",
        default="mesh1",
        required=True,
        rule=values.DNS_LABEL,
    ),
    Field(
        "topology",
        "topology",
        "Topology",
        "multi-primary: every cluster runs its own istiod and survives without the others. "
        "primary-remote: clusters with the role remote are served by a primary's istiod; there may be several of both.",
        kind="choice",
        default=Mesh.topology,
        required=True,
        choices=(
            Choice("multi-primary", "Multi-primary: an istiod in every cluster"),
            Choice("primary-remote", "Primary-remote: some clusters are served by another's istiod"),
        ),
    ),
    Field(
        "trustDomain",
        "trust_domain",
        "Trust domain",
        "The first part of every workload's identity (spiffe://TRUST-DOMAIN/ns/…). The same in all clusters.",
        default=Mesh.trust_domain,
        required=True,
        rule=values.TRUST_DOMAIN,
    ),
    Field(
        "istio.version",
        "istio.version",
        "Istio version",
        "Optional: when given, the istioctl found must be of just this version. The control plane gets istioctl's version.",
        rule=values.VERSION,
    ),
    Field(
        "istio.revision",
        "istio.revision",
        "Revision",
        "Optional: a name for this control plane, so that another one can run beside it. Namespaces ask for it with "
        "istio.io/rev instead of istio-injection.",
        rule=values.REVISION,
    ),
    Field(
        "istio.hub",
        "istio.hub",
        "Image hub",
        "Where pilot and proxyv2 are pulled from: docker.io/istio, or your private registry's prefix.",
        default=Istio.hub,
        required=True,
        rule=values.HUB,
    ),
    Field(
        "istio.imagePullPolicy",
        "istio.image_pull_policy",
        "Image pull policy",
        "IfNotPresent works with images loaded by hand; Always asks the registry each time, also for the gateway.",
        kind="choice",
        default=Istio.image_pull_policy,
        required=True,
        choices=(
            Choice("IfNotPresent", "IfNotPresent: use the image on the node if it is there"),
            Choice("Always", "Always: ask the registry every time"),
            Choice("Never", "Never: only images on the node"),
        ),
    ),
    Field(
        "istio.pullSecret",
        "istio.pull_secret",
        "Pull secret",
        "The Secret with which images are pulled from a private registry, in istio-system of every cluster. It must be "
        "there, unless its content is given below.",
        rule=values.SECRET_NAME,
    ),
    Field(
        "istio.pullSecretFile",
        "istio.pull_secret_file",
        "Pull secret file",
        "A Docker config.json with the registry's credentials; the wizard makes the pull secret of it in every cluster. "
        "Its content is kept nowhere else.",
        kind="path",
    ),
    Field(
        "istio.overlays",
        "istio.overlays",
        "IstioOperator overlays",
        "Files with more IstioOperator settings, merged under the wizard's own and passed on to istioctl. "
        "Relative to the mesh file.",
        kind="paths",
    ),
    Field(
        "tolerations",
        "tolerations",
        "Tolerations",
        "What every Pod tolerates that is made (istiod, gateways, probes, the sample), as in a Pod: a list of key, operator, "
        "value, effect.",
        kind="yaml",
        rule=values.TOLERATIONS,
        held=values.HELD_TOLERATIONS,
    ),
    Field(
        "certificates.source",
        "certificates.source",
        "Certificates",
        "generate: one root and an intermediate for each cluster; roots already in the clusters are adopted if they agree. "
        "directory: CLUSTER/ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem. offline: the wizard writes "
        "CLUSTER/ca.csr, you put CLUSTER/ca-cert.pem and root-cert.pem beside it.",
        kind="choice",
        default=Certificates.source,
        required=True,
        choices=(
            Choice("generate", "Generate one root, an intermediate per cluster"),
            Choice("existing", "Use the cacerts secrets already in the clusters"),
            Choice("directory", "Take them from a folder"),
            Choice("offline", "Have requests signed by a root kept elsewhere"),
        ),
    ),
    Field(
        "certificates.path",
        "certificates.path",
        "Certificate folder",
        "generate: where the root key is kept (folder 0700, file 0600), needed again only to add a cluster; default: the "
        "platform's data folder. directory, offline: the folder of the certificates, one folder per cluster in it.",
        kind="path",
    ),
    Field(
        "verify.namespace",
        "verify.namespace",
        "Sample namespace",
        "Where helloworld and curl are deployed to prove that the mesh answers across clusters.",
        default=Verify.namespace,
        required=True,
        rule=values.SAMPLE_NAMESPACE,
    ),
    Field(
        "verify.hub",
        "verify.hub",
        "Sample hub",
        "Where the examples-helloworld-v1 image is pulled from.",
        default=Verify.hub,
        required=True,
        rule=values.HUB,
    ),
    Field(
        "verify.curlImage",
        "verify.curl_image",
        "curl image",
        "The client that asks. Default: curlimages/curl with docker.io/istio, otherwise HUB/curl of the same tag.",
        rule=values.IMAGE,
    ),
    Field(
        "verify.probes",
        "verify.probes",
        "Probes before use",
        "before: every address that one cluster uses of another is tried from inside that cluster, by a Pod that is removed "
        "again, before anything depends on it. never: it is not; what cannot be reached shows at the verification.",
        kind="choice",
        default=Verify.probes,
        required=True,
        choices=(Choice("before", "Try every address before it is needed"), Choice("never", "Do not try")),
    ),
)

CLUSTER_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        "name",
        "Cluster name",
        "The one name of this cluster: clusterName, remote secret, meshNetworks registry.",
        scope="cluster",
        required=True,
        rule=values.DNS_LABEL,
    ),
    Field(
        "kubeconfig",
        "kubeconfig",
        "Kubeconfig",
        "The file that holds the context. Default: what kubectl would use. It is only read.",
        scope="cluster",
        kind="path",
    ),
    Field(
        "context",
        "context",
        "Context",
        "The kubeconfig context that reaches this cluster.",
        scope="cluster",
        required=True,
    ),
    Field(
        "network",
        "network",
        "Network",
        "Pods of one network reach each other directly. Clusters whose pods cannot are on different networks and meet at "
        "east-west gateways; the label topology.istio.io/network of istio-system says which.",
        scope="cluster",
        required=True,
        rule=values.NETWORK,
    ),
    Field(
        "role",
        "role",
        "Role",
        "primary: runs its own istiod. remote: is served by another cluster's.",
        scope="cluster",
        kind="choice",
        default=Cluster.role,
        required=True,
        choices=(Choice("primary", "Primary"), Choice("remote", "Remote")),
    ),
    Field(
        "primary",
        "primary",
        "Primary",
        "For a remote: the cluster whose istiod serves it. Default: the only primary.",
        scope="cluster",
        rule=values.DNS_LABEL,
    ),
    Field(
        "discoveryAddress",
        "discovery",
        "Discovery address",
        "For a remote: where its proxies reach the primary's istiod, on ports 15012 and 15017. Default: where the primary's "
        "gateway is reached.",
        scope="cluster",
        found=True,
        rule=values.HOST,
    ),
    Field(
        "apiServer",
        "api_server",
        "API server for peers",
        "The address at which the other clusters' istiod reach this API server. Default: the kubeconfig's, "
        "unless that means this machine.",
        scope="cluster",
        found=True,
        rule=values.API_SERVER,
    ),
    Field(
        "serviceCidr",
        "service_cidr",
        "Service CIDR",
        "The range of this cluster's Service addresses, for those who route there (cluster-ip-route). Default: asked of the "
        "API server.",
        scope="cluster",
        found=True,
        rule=values.CIDR,
    ),
    Field(
        "gateway.exposure",
        "gateway.exposure",
        "Gateway exposure",
        "How the other clusters reach this cluster's east-west gateway. Default: node-port, which needs nothing; "
        "external-ips for a primary with remotes, whose proxies need the ports 15012 and 15017 as they are.",
        scope="cluster",
        kind="choice",
        found=True,
        choices=(
            Choice("node-port", "A node's address and a NodePort"),
            Choice("external-ips", "A node's address on the Service"),
            Choice("load-balancer", "A load balancer"),
            Choice("cluster-ip-route", "The Service's own address, by a route on the peers' nodes"),
        ),
    ),
    Field(
        "gateway.address",
        "gateway.address",
        "Gateway address",
        "Where the other clusters reach the gateway. Default: a ready node's InternalIP; for load-balancer what it gives; "
        "for cluster-ip-route a free Service address.",
        scope="cluster",
        found=True,
        rule=values.HOST,
    ),
    Field(
        "gateway.addresses",
        "gateway.more",
        "Gateway addresses",
        "In place of gateway.address where there are several, such as those of two nodes: all stand in meshNetworks, and callers "
        "spread over them. Not for cluster-ip-route.",
        scope="cluster",
        kind="texts",
        rule=values.HOST,
    ),
    Field(
        "gateway.port",
        "gateway.port",
        "Gateway NodePort",
        f"For node-port: the NodePort of port 15443, in the API server's range. Default: {DEFAULT_NODE_PORT}, or the next one "
        "that every cluster has and that is free in all. The other exposures answer on 15443.",
        scope="cluster",
        kind="integer",
        found=True,
        rule=values.NODE_PORT,
    ),
    Field(
        "gateway.node",
        "gateway.node",
        "Route by node",
        "For cluster-ip-route: the node address of this cluster over which the peers' nodes route to its Services. Default: "
        "a ready node's InternalIP.",
        scope="cluster",
        found=True,
        rule=values.ADDRESS,
    ),
    Field(
        "gateway.annotations",
        "gateway.annotations",
        "Gateway annotations",
        "Annotations of the gateway's Service, such as those that ask a cloud for an internal load balancer.",
        scope="cluster",
        kind="yaml",
        rule=values.ANNOTATIONS,
        held=values.HELD_ANNOTATIONS,
    ),
    Field(
        "overlays",
        "overlays",
        "Cluster's overlays",
        "IstioOperator files for this cluster alone, merged over those of istio.overlays. Relative to the mesh file.",
        scope="cluster",
        kind="paths",
    ),
    Field(
        "sample",
        "sample",
        "Sample version",
        "The helloworld version that tells this cluster's answers from the others'. Default: v1 for the first cluster, v2 for "
        "the second, and so on.",
        scope="cluster",
        found=True,
        rule=values.SAMPLE_VERSION,
    ),
)


def mesh_field(key: str) -> Field:
    """The mesh field of that key; KeyError if there is none."""
    return _BY_KEY["mesh", key]


def cluster_field(key: str) -> Field:
    """The cluster field of that key; KeyError if there is none."""
    return _BY_KEY["cluster", key]


_BY_KEY = {(field.scope, field.key): field for field in MESH_FIELDS + CLUSTER_FIELDS}
