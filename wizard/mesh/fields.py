"""Every question of the wizard, declared once: key, place in the model, title, help, kind, default, choices, rule.

Screens, prompts, command line flags, the mesh file, its schema and the model all follow these declarations; nobody else states a
default or a rule about a single field. Those of a cluster are in `clusterfields.py`, rules that look at several fields at once in
`rules.py`.
"""

from __future__ import annotations

from wizard.mesh import values
from wizard.mesh.clusterfields import CLUSTER_FIELDS
from wizard.mesh.field import Choice, Field, Value
from wizard.mesh.model import BY_OTHERS, Certificates, Istio, Mesh, Verify
from wizard.messages import msg

__all__ = ["CLUSTER_FIELDS", "MESH_FIELDS", "Choice", "Field", "Value", "cluster_field", "mesh_field"]

MESH_FIELDS: tuple[Field, ...] = (
    Field(
        "name",
        "name",
        msg("Mesh name"),
        msg("The mesh's ID (meshID). It also names the saved state: `meshwizard resume NAME`."),
        default="mesh1",
        required=True,
        rule=values.DNS_LABEL,
    ),
    Field(
        "topology",
        "topology",
        msg("Topology"),
        msg(
            "multi-primary: every cluster runs its own istiod and survives without the others. "
            "primary-remote: clusters with the role remote are served by a primary's istiod; there may be several of both."
        ),
        kind="choice",
        default=Mesh.topology,
        required=True,
        choices=(
            Choice("multi-primary", msg("Multi-primary: an istiod in every cluster")),
            Choice("primary-remote", msg("Primary-remote: some clusters are served by another's istiod")),
        ),
    ),
    Field(
        "trustDomain",
        "trust_domain",
        msg("Trust domain"),
        msg("The first part of every workload's identity (spiffe://TRUST-DOMAIN/ns/…). The same in all clusters."),
        default=Mesh.trust_domain,
        required=True,
        rule=values.TRUST_DOMAIN,
    ),
    Field(
        "istio.version",
        "istio.version",
        msg("Istio version"),
        msg(
            "Optional: when given, the istioctl found must be of just this version. The control plane gets istioctl's version."
        ),
        rule=values.VERSION,
    ),
    Field(
        "istio.revision",
        "istio.revision",
        msg("Revision"),
        msg(
            "Optional: a name for this control plane, so that another one can run beside it. Namespaces ask for it with "
            "istio.io/rev instead of istio-injection."
        ),
        rule=values.REVISION,
    ),
    Field(
        "istio.hub",
        "istio.hub",
        msg("Image hub"),
        msg("Where pilot and proxyv2 are pulled from: docker.io/istio, or your private registry's prefix."),
        default=Istio.hub,
        required=True,
        rule=values.HUB,
    ),
    Field(
        "istio.imagePullPolicy",
        "istio.image_pull_policy",
        msg("Image pull policy"),
        msg("IfNotPresent works with images loaded by hand; Always asks the registry each time, also for the gateway."),
        kind="choice",
        default=Istio.image_pull_policy,
        required=True,
        choices=(
            Choice("IfNotPresent", msg("IfNotPresent: use the image on the node if it is there")),
            Choice("Always", msg("Always: ask the registry every time")),
            Choice("Never", msg("Never: only images on the node")),
        ),
    ),
    Field(
        "istio.pullSecret",
        "istio.pull_secret",
        msg("Pull secret"),
        msg(
            "The Secret with which images are pulled from a private registry, in istio-system of every cluster. It must be "
            "there, unless its content is given below."
        ),
        rule=values.SECRET_NAME,
    ),
    Field(
        "istio.pullSecretFile",
        "istio.pull_secret_file",
        msg("Pull secret file"),
        msg(
            "A Docker config.json with the registry's credentials; the wizard makes the pull secret of it in every cluster. "
            "Its content is kept nowhere else."
        ),
        kind="path",
    ),
    Field(
        "istio.overlays",
        "istio.overlays",
        msg("IstioOperator overlays"),
        msg(
            "Files with more IstioOperator settings, merged under the wizard's own and passed on to istioctl. "
            "Relative to the mesh file."
        ),
        kind="paths",
    ),
    Field(
        "istio.installed",
        "istio.installed",
        msg("Installed"),
        msg(
            "by-others: Istio was installed by others, as `meshwizard adopt` found it. What they made is looked at, and neither "
            "changed nor taken back; where it is not as this file says, that is a conflict."
        ),
        kind="choice",
        choices=(Choice(BY_OTHERS, msg("By others: what stands is only looked at")),),
    ),
    Field(
        "tolerations",
        "tolerations",
        msg("Tolerations"),
        msg(
            "What every Pod tolerates that is made (istiod, gateways, probes, the sample), as in a Pod: a list of key, operator, "
            "value, effect."
        ),
        kind="yaml",
        rule=values.TOLERATIONS,
        held=values.HELD_TOLERATIONS,
    ),
    Field(
        "certificates.source",
        "certificates.source",
        msg("Certificates"),
        msg(
            "generate: one root and an intermediate for each cluster; roots already in the clusters are adopted if they agree. "
            "directory: CLUSTER/ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem. offline: the wizard writes "
            "CLUSTER/ca.csr, you put CLUSTER/ca-cert.pem and root-cert.pem beside it."
        ),
        kind="choice",
        default=Certificates.source,
        required=True,
        choices=(
            Choice("generate", msg("Generate one root, an intermediate per cluster")),
            Choice("existing", msg("Use the cacerts secrets already in the clusters")),
            Choice("directory", msg("Take them from a folder")),
            Choice("offline", msg("Have requests signed by a root kept elsewhere")),
        ),
    ),
    Field(
        "certificates.path",
        "certificates.path",
        msg("Certificate folder"),
        msg(
            "generate: where the root key is kept (folder 0700, file 0600), needed again only to add a cluster; default: the "
            "platform's data folder. directory, offline: the folder of the certificates, one folder per cluster in it."
        ),
        kind="path",
    ),
    Field(
        "verify.namespace",
        "verify.namespace",
        msg("Sample namespace"),
        msg("Where helloworld and curl are deployed to prove that the mesh answers across clusters."),
        default=Verify.namespace,
        required=True,
        rule=values.SAMPLE_NAMESPACE,
    ),
    Field(
        "verify.hub",
        "verify.hub",
        msg("Sample hub"),
        msg("Where the examples-helloworld-v1 image is pulled from."),
        default=Verify.hub,
        required=True,
        rule=values.HUB,
    ),
    Field(
        "verify.curlImage",
        "verify.curl_image",
        msg("curl image"),
        msg("The client that asks. Default: curlimages/curl with docker.io/istio, otherwise HUB/curl of the same tag."),
        rule=values.IMAGE,
    ),
    Field(
        "verify.probes",
        "verify.probes",
        msg("Probes before use"),
        msg(
            "before: every address that one cluster uses of another is tried from inside that cluster, by a Pod that is removed "
            "again, before anything depends on it. never: it is not; what cannot be reached shows at the verification."
        ),
        kind="choice",
        default=Verify.probes,
        required=True,
        choices=(Choice("before", msg("Try every address before it is needed")), Choice("never", msg("Do not try"))),
    ),
)


def mesh_field(key: str) -> Field:
    """The mesh field of that key; KeyError if there is none."""
    return _BY_KEY["mesh", key]


def cluster_field(key: str) -> Field:
    """The cluster field of that key; KeyError if there is none."""
    return _BY_KEY["cluster", key]


_BY_KEY = {(field.scope, field.key): field for field in MESH_FIELDS + CLUSTER_FIELDS}
