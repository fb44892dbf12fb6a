"""The remote secrets of a cluster as its istiod takes them up: which clusters they register, and what they say of each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from wizard import kinds, yamltext
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering
from wizard.checks.standing.clusterid import called
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import SECRET, Object, Ref
from wizard.clusters.typed import istioctl
from wizard.istio.versions import remote_secret_command
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.probes.credential import Credential, in_secret
from wizard.registered import MARKED
from wizard.text import one_line, quoted

FORGETTING_SECONDS = 10  # in which istiod lets go of a cluster whose Secret is gone
_FILES = ("client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Entry:
    """One key of a Secret with the label: a cluster to istiod. `content`: its kubeconfig, in base64."""

    secret: Ref
    key: str
    content: str = field(repr=False)
    written: str = ""  # when the Secret was, as the API server says it

    @property
    def said(self) -> Said:
        """What it says."""
        return _said(self.content)


@dataclass(frozen=True)
class Said:
    """`credential`: with which istiod reads the cluster; None where it has no token. `refused`: why istiod takes no such content,
    to go on after its name; empty: it does.
    """

    credential: Credential | None
    refused: str = ""


def secret_of(peer: str) -> Ref:
    """The Secret that registers the cluster of that name, as istioctl calls it."""
    return Ref(SECRET, f"istio-remote-secret-{peer}", SYSTEM_NAMESPACE)


def registered(here: Here, name: str | None = None) -> list[Entry]:
    """All that registers clusters here, or one with this name."""
    return [
        each
        for secret in here.objects(SECRET, SYSTEM_NAMESPACE, MARKED)
        if name is None or name in (secret.get("data") or {})
        for each in _entries(secret)
        if name is None or each.key == name
    ]


def entry_of(here: Here, peer: Here) -> Entry | None:
    """What registers the peer here under the name by which its proxies call it; of several, what has the usual name."""
    usual = secret_of(peer.name)
    return next(iter(sorted(registered(here, id_of(peer)), key=lambda entry: entry.secret != usual)), None)


def usable(here: Here, peer: Here) -> tuple[Entry, Credential] | None:
    """What registers the peer here, with the token in it; None where there is none, or istiod does not take it."""
    entry = entry_of(here, peer)
    if entry is None or entry.said.refused or entry.said.credential is None:
        return None
    return entry, entry.said.credential


def id_of(here: Here) -> str:
    """The name by which a remote secret must register this cluster."""
    found = called(here)
    return found.name if found else here.name


def lost(here: Here, peer: Here) -> tuple[Pair, ...]:
    """The traffic that passes only where the istiod of one cluster reads the other: to it from all that the istiod serves, and,
    where it serves the peer too, all from there.
    """
    pairs = here.view.into(peer.name, here.view.served_by(here.name))
    own = here.view.out_of(peer.name) if peer.control is here else ()
    return tuple(dict.fromkeys((*pairs, *own)))


def step_of(here: Here, peer: Here) -> str | None:
    """Our step that makes it; none in a mesh that others made."""
    return None if here.view.inferred else kinds.REMOTE_SECRET.id(here.name, peer.name)


def deleting(here: Here, secret: Ref) -> str:
    """The command that deletes this Secret."""
    return f"{here.kubectl} -n {quoted(secret.namespace)} delete secret {quoted(secret.name)}"


def making(here: Here, peer: Here, server: str = "") -> str:
    """The command that makes the one with which `here` reads the peer, at this address; empty: at the one that others use."""
    make = " ".join(remote_secret_command(str(here.mesh.istio.version)))
    server = server or peer.member.api_server or peer.server
    return (
        f"{istioctl(peer.member, make)} -n {SYSTEM_NAMESPACE} --name={quoted(id_of(peer))} --server={quoted(server)} |\n"
        f"  {here.kubectl} apply -f -"
    )


def anew(here: Here, peer: Here, secret: Ref, server: str = "") -> tuple[str, ...]:
    """Delete it, and make it again once istiod has let go of the cluster: what changes in place it does not take up."""
    return f"{deleting(here, secret)} && sleep {FORGETTING_SECONDS}", making(here, peer, server)


def peers_of(here: Here) -> list[Here]:
    """The clusters that the istiod here is to read, as far as they answer."""
    return answering(here.view.at(each.name) for each in here.mesh.read_by(here.name))


def fingerprint(text: str) -> str:
    """A secret as it may be shown."""
    digest = hashlib.sha256(text.strip().encode(errors="replace")).hexdigest()
    return f"sha256:{digest[:12]}"


def server_told(credential: Credential) -> str:
    """The address, as it may be shown."""
    return one_line(credential.server)


def _entries(secret: Object) -> Iterator[Entry]:
    metadata = secret["metadata"]
    times = [metadata.get("creationTimestamp"), *(each.get("time") for each in metadata.get("managedFields") or [])]
    written = max((str(time) for time in times if time), default="")
    ref = Ref(SECRET, str(metadata["name"]), str(metadata["namespace"]))
    for key, content in (secret.get("data") or {}).items():
        yield Entry(ref, key, content, written)


@lru_cache(maxsize=1024)
def _said(content: str) -> Said:
    try:
        kubeconfig = yamltext.load(base64.b64decode(content))
    except (ValueError, yaml.YAMLError):
        return Said(None, msg("is no kubeconfig"))
    return Said(in_secret({"data": {"kubeconfig": content}}, "kubeconfig"), _refused(kubeconfig))


def _refused(kubeconfig: Any) -> str:
    """Why istiod refuses this kubeconfig: it runs no command of another's, and has none of their files."""
    clusters, users = _below(kubeconfig, "clusters", "cluster"), _below(kubeconfig, "users", "user")
    if not clusters or not users:
        return msg("is no kubeconfig")
    for user in users:
        provider = user.get("auth-provider")
        if user.get("exec") or (isinstance(provider, dict) and provider.get("name") != "oidc"):
            return msg("asks istiod to run a command for its credentials, which it does not")
        if any(user.get(name) for name in _FILES):
            return msg("names files for its credentials, which istiod does not have")
    if any(not each.get("server") for each in clusters):
        return msg("names no API server")
    if any(each.get("certificate-authority") and not each.get("certificate-authority-data") for each in clusters):
        return msg("names a file for the API server's authority, which istiod does not have")
    return ""


def _below(kubeconfig: Any, plural: str, name: str) -> list[dict[str, Any]]:
    listed = kubeconfig.get(plural) if isinstance(kubeconfig, dict) else None
    found = [each.get(name) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [each for each in found if isinstance(each, dict)]
