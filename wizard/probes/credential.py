"""How an istiod reads another cluster: as its remote secret says, and what is known of that before there is one."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import yaml

from wizard import yamltext
from wizard.clusters.kinds import CONFIG_MAP, Object, Ref
from wizard.clusters.port import Cluster
from wizard.errors import NotAllowed

# Published by Kubernetes 1.20 and later: what every token of an account carries as its `ca.crt`.
AUTHORITY = Ref(CONFIG_MAP, "kube-root-ca.crt", "kube-system")


@dataclass(frozen=True)
class Credential:
    """`authority`: the certificates (PEM) that the server's must be signed by; empty: what the system trusts, None: nothing is
    verified. `server_name`: the name in its certificate; empty: that of `server`. `token`: empty where there is none yet.
    """

    server: str
    authority: str | None
    server_name: str = ""
    token: str = field(default="", repr=False)


def in_secret(secret: Object | None, name: str) -> Credential | None:
    """What the remote secret says of the cluster of that name; None where it holds no kubeconfig for it."""
    try:
        kubeconfig = yamltext.load(base64.b64decode(((secret or {}).get("data") or {}).get(name, "")))
        cluster = kubeconfig["clusters"][0]["cluster"]
        token, server = str(kubeconfig["users"][0]["user"]["token"]), str(cluster["server"])
        authority = base64.b64decode(str(cluster.get("certificate-authority-data", ""))).decode()
        unverified = cluster.get("insecure-skip-tls-verify") is True
        return Credential(server, None if unverified else authority, str(cluster.get("tls-server-name") or ""), token)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, yaml.YAMLError):
        return None


def beforehand(server: str, cluster: Cluster) -> Credential | None:
    """What a remote secret for this cluster will say, but for the token: that of an account that the install makes. None where
    the cluster does not tell its authority.
    """
    try:
        authority = ((cluster.get(AUTHORITY) or {}).get("data") or {}).get("ca.crt")
    except NotAllowed:
        return None
    return Credential(server, str(authority)) if authority else None
