"""Every question of the wizard, declared once: key, title, help, kind, default, choices, check.

Screens, prompts, command line flags and the mesh file all render these declarations; nobody else states a default or
a rule about a single field. Rules that look at several fields at once are in `document.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from wizard.mesh.addresses import address_of, range_of
from wizard.mesh.labels import wrong_annotations
from wizard.mesh.model import DEFAULT_NODE_PORT, Certificates, Istio, Mesh, Verify
from wizard.mesh.tolerations import wrong_tolerations

Value = str | int | list[Any] | dict[str, Any] | None
Kind = Literal["text", "texts", "choice", "integer", "path", "paths", "yaml"]
Scope = Literal["mesh", "cluster"]
_NO_PATH = "no path may hold a NUL character"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_IMAGE_PREFIX = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_IMAGE = re.compile(_IMAGE_PREFIX.pattern + r"(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-.][0-9A-Za-z.-]+)?")
MAX_REVISION = 40
_RESERVED_NAMESPACES = {"kube-system", "kube-public", "kube-node-lease", "istio-system", "default"}


@dataclass(frozen=True)
class Choice:
    value: str
    title: str


@dataclass(frozen=True)
class Field:
    """One question. `key` is its dotted path in the mesh file, below the document or below one cluster."""

    key: str
    title: str
    help: str
    scope: Scope = "mesh"
    kind: Kind = "text"
    default: Value = None
    required: bool = False
    found: bool = False  # left empty, it is found on the cluster
    choices: tuple[Choice, ...] = ()
    check: Callable[[str], str | None] | None = None  # the sentence of what is wrong, or None
    shape: Callable[[object], str | None] | None = None  # the same, of the list or mapping that a `yaml` field holds

    @property
    def flag(self) -> str:
        """Its spelling as a command line option: `istio.imagePullPolicy` → `--istio-image-pull-policy`."""
        return "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", self.key).replace(".", "-").lower()

    def mistake(self, value: object) -> str | None:
        """What is wrong with this value, as a sentence, or None. Empty is wrong only where an answer is required."""
        if value is None or value in ("", [], {}):
            return "an answer is required" if self.required else None
        if self.kind == "yaml":
            return self.shape(value) if self.shape else None
        if self.kind == "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                return f"must be a whole number, not {_named(value)}"
            return self.check(str(value)) if self.check else None
        if self.kind in ("paths", "texts"):
            what = "file names" if self.kind == "paths" else "texts"
            if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
                return f"must be a list of {what}, not {_named(value)}"
            if self.kind == "paths":
                return _NO_PATH if any("\0" in item for item in value) else None
            return next((wrong for item in value if self.check and (wrong := self.check(item))), None)
        if not isinstance(value, str):
            return f"must be text, not {_named(value)}"
        if self.kind == "path" and "\0" in value:
            return _NO_PATH
        if self.kind == "choice":
            if any(choice.value == value for choice in self.choices):
                return None
            return f"{value!r} is none of {', '.join(choice.value for choice in self.choices)}"
        return self.check(value) if self.check else None

    def parse(self, typed: str) -> Value:
        """What a person typed, as the value the mesh file holds. Text that does not fit stays text, so that
        `mistake` can say so.
        """
        typed = typed.strip()
        if not typed:
            return None
        if self.kind == "integer" and re.fullmatch(r"[0-9]{1,9}", typed):
            return int(typed)
        if self.kind in ("paths", "texts"):
            return [item.strip() for item in typed.split(",") if item.strip()]
        return _read(typed) if self.kind == "yaml" else typed

    def render(self, value: object) -> str:
        """The value as a person would type it."""
        if value is None:
            return ""
        if self.kind == "yaml":
            return json.dumps(value, ensure_ascii=False)
        return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def _read(typed: str) -> Value:
    import yaml  # takes longer than all the rest of a command's help

    from wizard import yamltext

    try:
        read = yamltext.load(typed)
    except (yaml.YAMLError, ValueError):
        return typed
    return read if isinstance(read, list | dict) else typed


def _named(value: object) -> str:
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()} (quote it to mean text)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    if isinstance(value, int | float):
        return f"the number {value} (quote it to mean text)"
    return f"{str(value)[:60]!r}"


def _dns_label(value: str) -> str | None:
    if _LABEL.fullmatch(value):
        return None
    return (
        f"{value[:80]!r} is no DNS label: up to 63 lower-case letters, digits and hyphens, "
        "a letter or digit at both ends"
    )


def _network(value: str) -> str | None:
    if _LABEL_VALUE.fullmatch(value):
        return None
    return f"{value[:80]!r} cannot be a label value: up to 63 letters, digits, '-', '_' or '.', starting and ending alphanumeric"


def _revision(value: str) -> str | None:
    # It becomes part of names such as istio-sidecar-injector-REVISION, which may not be longer than a label.
    if len(value) > MAX_REVISION:
        return f"{value[:80]!r} is longer than {MAX_REVISION} characters"
    if value == "default":
        return "'default' is what istioctl calls having none; leave it out"
    return _dns_label(value)


def _secret_name(value: str) -> str | None:
    if _DOMAIN.fullmatch(value) and len(value) <= 253:
        return None
    return f"{value[:80]!r} is no name of a Secret, such as registry-credentials"


def _trust_domain(value: str) -> str | None:
    return (
        None
        if _DOMAIN.fullmatch(value) and len(value) <= 253
        else f"{value[:80]!r} is no trust domain, such as cluster.local"
    )


def _hub(value: str) -> str | None:
    return (
        None
        if _IMAGE_PREFIX.fullmatch(value)
        else f"{value[:80]!r} is no image prefix, such as registry.example.com/istio"
    )


def _image(value: str) -> str | None:
    return None if _IMAGE.fullmatch(value) else f"{value[:80]!r} is no image name, such as curlimages/curl:8.16.0"


def _version(value: str) -> str | None:
    return None if _VERSION.fullmatch(value) else f"{value[:40]!r} is no Istio version, such as 1.29.1"


def _address(value: str) -> str | None:
    address = address_of(value)
    if address is None:
        return f"{value[:80]!r} is no IP address; other clusters reach the gateway at a node's address, such as 10.20.144.83"
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return f"{value} cannot be reached from another cluster"
    return None


def _host(value: str) -> str | None:
    """An IP address that peers can reach, or a host name, which only a load balancer has."""
    if _DOMAIN.fullmatch(value) and not re.fullmatch(r"[0-9.]+", value) and len(value) <= 253:
        return None if value != "localhost" else "localhost cannot be reached from another cluster"
    return _address(value)


def _cidr(value: str) -> str | None:
    return None if range_of(value) else f"{value[:80]!r} is no range of addresses, such as 10.96.0.0/16"


def _sample_version(value: str) -> str | None:
    return None if re.fullmatch(r"v[1-9][0-9]{0,3}", value) else f"{value[:40]!r} is no sample version, such as v1"


def _node_port(value: str) -> str | None:
    # Which of them a cluster gives is its API server's business.
    return None if value.isdecimal() and 1 <= int(value) <= 65535 else f"{value} is no port: 1 to 65535"


def _api_server(value: str) -> str | None:
    found = re.fullmatch(r"https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:([0-9]{1,5}))?/?", value)
    if not found and re.fullmatch(r"https://[^/?#@\s]+/[^?#\s]+", value):
        return (
            f"{value[:80]!r} has a path, so what answers there is a proxy that knows neither the certificate nor the token of a "
            "remote secret; give the API server's own address, such as https://10.20.144.83:6443"
        )
    if not found or (found[3] and int(found[3]) > 65535):
        return f"{value[:80]!r} is no API server address, such as https://10.20.144.83:6443"
    if found[1].strip("[]") in {"localhost", "127.0.0.1", "::1", "0.0.0.0"} or found[1].startswith("127."):  # noqa: S104 - refused, not bound
        return f"{value} means this machine; other clusters need the address at which they reach the API server"
    return None


def _sample_namespace(value: str) -> str | None:
    if value in _RESERVED_NAMESPACES:
        return f"{value!r} holds other things; choose a namespace of its own, such as sample"
    return _dns_label(value)


MESH_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        "Mesh name",
        "The mesh's ID (meshID). It also names the saved state: `meshwizard resume NAME`.",
        default="mesh1",
        required=True,
        check=_dns_label,
    ),
    Field(
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
        "Trust domain",
        "The first part of every workload's identity (spiffe://TRUST-DOMAIN/ns/…). The same in all clusters.",
        default=Mesh.trust_domain,
        required=True,
        check=_trust_domain,
    ),
    Field(
        "istio.version",
        "Istio version",
        "Optional: when given, the istioctl found must be of just this version. The control plane gets istioctl's version.",
        check=_version,
    ),
    Field(
        "istio.revision",
        "Revision",
        "Optional: a name for this control plane, so that another one can run beside it. Namespaces ask for it with "
        "istio.io/rev instead of istio-injection.",
        check=_revision,
    ),
    Field(
        "istio.hub",
        "Image hub",
        "Where pilot and proxyv2 are pulled from: docker.io/istio, or your private registry's prefix.",
        default=Istio.hub,
        required=True,
        check=_hub,
    ),
    Field(
        "istio.imagePullPolicy",
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
        "Pull secret",
        "The Secret with which images are pulled from a private registry, in istio-system of every cluster. It must be "
        "there, unless its content is given below.",
        check=_secret_name,
    ),
    Field(
        "istio.pullSecretFile",
        "Pull secret file",
        "A Docker config.json with the registry's credentials; the wizard makes the pull secret of it in every cluster. "
        "Its content is kept nowhere else.",
        kind="path",
    ),
    Field(
        "istio.overlays",
        "IstioOperator overlays",
        "Files with more IstioOperator settings, merged under the wizard's own and passed on to istioctl. "
        "Relative to the mesh file.",
        kind="paths",
        default=None,
    ),
    Field(
        "tolerations",
        "Tolerations",
        "What every Pod tolerates that is made (istiod, gateways, probes, the sample), as in a Pod: a list of key, operator, "
        "value, effect.",
        kind="yaml",
        shape=wrong_tolerations,
    ),
    Field(
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
        "Certificate folder",
        "generate: where the root key is kept (folder 0700, file 0600), needed again only to add a cluster; default: the "
        "platform's data folder. directory, offline: the folder of the certificates, one folder per cluster in it.",
        kind="path",
    ),
    Field(
        "verify.namespace",
        "Sample namespace",
        "Where helloworld and curl are deployed to prove that the mesh answers across clusters.",
        default=Verify.namespace,
        required=True,
        check=_sample_namespace,
    ),
    Field(
        "verify.hub",
        "Sample hub",
        "Where the examples-helloworld-v1 image is pulled from.",
        default=Verify.hub,
        required=True,
        check=_hub,
    ),
    Field(
        "verify.curlImage",
        "curl image",
        "The client that asks. Default: curlimages/curl with docker.io/istio, otherwise HUB/curl of the same tag.",
        check=_image,
    ),
    Field(
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
        "Cluster name",
        "The one name of this cluster: clusterName, remote secret, meshNetworks registry.",
        scope="cluster",
        required=True,
        check=_dns_label,
    ),
    Field(
        "kubeconfig",
        "Kubeconfig",
        "The file that holds the context. Default: what kubectl would use. It is only read.",
        scope="cluster",
        kind="path",
    ),
    Field(
        "context",
        "Context",
        "The kubeconfig context that reaches this cluster.",
        scope="cluster",
        required=True,
    ),
    Field(
        "network",
        "Network",
        "Pods of one network reach each other directly. Clusters whose pods cannot are on different networks and meet at "
        "east-west gateways; the label topology.istio.io/network of istio-system says which.",
        scope="cluster",
        required=True,
        check=_network,
    ),
    Field(
        "role",
        "Role",
        "primary: runs its own istiod. remote: is served by another cluster's.",
        scope="cluster",
        kind="choice",
        default="primary",
        required=True,
        choices=(Choice("primary", "Primary"), Choice("remote", "Remote")),
    ),
    Field(
        "primary",
        "Primary",
        "For a remote: the cluster whose istiod serves it. Default: the only primary.",
        scope="cluster",
        check=_dns_label,
    ),
    Field(
        "discoveryAddress",
        "Discovery address",
        "For a remote: where its proxies reach the primary's istiod, on ports 15012 and 15017. Default: where the primary's "
        "gateway is reached.",
        scope="cluster",
        found=True,
        check=_host,
    ),
    Field(
        "apiServer",
        "API server for peers",
        "The address at which the other clusters' istiod reach this API server. Default: the kubeconfig's, "
        "unless that means this machine.",
        scope="cluster",
        found=True,
        check=_api_server,
    ),
    Field(
        "serviceCidr",
        "Service CIDR",
        "The range of this cluster's Service addresses, for those who route there (cluster-ip-route). Default: asked of the "
        "API server.",
        scope="cluster",
        found=True,
        check=_cidr,
    ),
    Field(
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
        "Gateway address",
        "Where the other clusters reach the gateway. Default: a ready node's InternalIP; for load-balancer what it gives; "
        "for cluster-ip-route a free Service address.",
        scope="cluster",
        found=True,
        check=_host,
    ),
    Field(
        "gateway.addresses",
        "Gateway addresses",
        "In place of gateway.address where there are several, such as those of two nodes: all stand in meshNetworks, and callers "
        "spread over them. Not for cluster-ip-route.",
        scope="cluster",
        kind="texts",
        check=_host,
    ),
    Field(
        "gateway.port",
        "Gateway NodePort",
        f"For node-port: the NodePort of port 15443, in the API server's range. Default: {DEFAULT_NODE_PORT}, or the next one "
        "that every cluster has and that is free in all. The other exposures answer on 15443.",
        scope="cluster",
        kind="integer",
        found=True,
        check=_node_port,
    ),
    Field(
        "gateway.node",
        "Route by node",
        "For cluster-ip-route: the node address of this cluster over which the peers' nodes route to its Services. Default: "
        "a ready node's InternalIP.",
        scope="cluster",
        found=True,
        check=_address,
    ),
    Field(
        "gateway.annotations",
        "Gateway annotations",
        "Annotations of the gateway's Service, such as those that ask a cloud for an internal load balancer.",
        scope="cluster",
        kind="yaml",
        shape=wrong_annotations,
    ),
    Field(
        "overlays",
        "Cluster's overlays",
        "IstioOperator files for this cluster alone, merged over those of istio.overlays. Relative to the mesh file.",
        scope="cluster",
        kind="paths",
    ),
    Field(
        "sample",
        "Sample version",
        "The helloworld version that tells this cluster's answers from the others'. Default: v1 for the first cluster, v2 for "
        "the second, and so on.",
        scope="cluster",
        found=True,
        check=_sample_version,
    ),
)


def mesh_field(key: str) -> Field:
    """The mesh field of that key; KeyError if there is none."""
    return _BY_KEY["mesh", key]


def cluster_field(key: str) -> Field:
    """The cluster field of that key; KeyError if there is none."""
    return _BY_KEY["cluster", key]


_BY_KEY = {(field.scope, field.key): field for field in MESH_FIELDS + CLUSTER_FIELDS}
