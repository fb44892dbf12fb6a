"""The clusters that an istiod is told of by remote secrets, and those of them that are none of its mesh's: of clusters that are
gone, or made by hand.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from wizard import yamltext
from wizard.clusters.kinds import SECRET, Object
from wizard.clusters.port import Reads
from wizard.mesh import model
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import msg
from wizard.text import one_line

MARKED = "istio/multiCluster=true"  # the label by which istiod finds remote secrets


@dataclass(frozen=True)
class Registered:
    """One key of such a secret. `name`: of the cluster, as istiod will call it; `by`: who wrote the secret."""

    secret: str
    name: str
    server: str
    by: str


def registered(cluster: Reads) -> Iterator[Registered]:
    """What the remote secrets of this cluster register. istiod takes each key of each secret for a cluster, and of two equal keys
    only one.
    """
    for secret in cluster.objects(SECRET, SYSTEM_NAMESPACE, MARKED):
        for key, content in (secret.get("data") or {}).items():
            yield Registered(str(secret["metadata"]["name"]), str(key), _server(content), _writer(secret))


def strangers(mesh: Mesh, member: model.Cluster, cluster: Reads) -> Iterator[Registered]:
    """What the remote secrets of this cluster register beside the peers that the mesh has it read."""
    ours = {(f"istio-remote-secret-{peer.name}", peer.name) for peer in mesh.read_by(member.name)}
    return (each for each in registered(cluster) if (each.secret, each.name) not in ours)


def _server(content: object) -> str:
    try:
        kubeconfig = yamltext.load(base64.b64decode(str(content)))
        return one_line(kubeconfig["clusters"][0]["cluster"]["server"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError, yaml.YAMLError):
        return msg("an address that cannot be read")


def _writer(secret: Object) -> str:
    managers = [entry.get("manager") for entry in secret["metadata"].get("managedFields") or []]
    return one_line(managers[0], 60) if managers else msg("somebody else")
