"""Asks an API server from inside a Pod as an istiod will: at the address, with the authority, server name and token of its
remote secret.

All of that goes into the Pod on the standard input of a shell, and the token from there to curl through a pipe: it stands in no
argument, no environment, no file and no specification of a Pod.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters.port import Executed
from wizard.errors import Failed
from wizard.mesh.addresses import bracketed
from wizard.messages import msg
from wizard.probes.credential import Credential
from wizard.text import one_line, word

IDENTITY_PATH = "/api/v1/namespaces/kube-system"  # istiod's reader may read Namespaces
ANYBODY_PATH = "/version"
# Where the shell's files are: in memory, and writable in every container.
_FOLDER = "/dev/shm"  # noqa: S108 - in the Pod
_TOKEN = re.compile(r"[\x21-\x7e]+")
_VERIFY_FAILED = (51, 60)  # curl's exit codes
_OTHER_NAME = re.compile(r"subject name|subjectAltName|does not match|hostname mismatch|IP address mismatch", re.I)
_EXPIRED = re.compile(r"expired|not yet valid", re.I)


@dataclass(frozen=True)
class Reply:
    """`code`: curl's exit code. `status`: HTTP's, 0 where it came not so far. `told`: why not, in curl's words, printable.
    `body`: the JSON object that was answered; empty where it was none.
    """

    code: int
    status: int
    told: str
    body: Mapping[str, Any]


def command_of(credential: Credential, *, connect: int, seconds: int) -> tuple[list[str], str]:
    """The command to run in the Pod, and what it reads: one GET of kube-system, or of the version where there is no token.
    `connect`, `seconds`: how long it may take to connect, and in all.
    """
    if credential.token and not _TOKEN.fullmatch(credential.token):
        raise Failed(msg("the token of the remote secret is none: it holds characters that no token has"), "")
    script, trusted = "", f"{_FOLDER}/meshwizard-{secrets.token_hex(6)}.crt"
    if credential.authority:
        script = f"printf %s {word(credential.authority)} > {trusted} && "
    config = "\n".join(_config(credential, trusted, connect, seconds))
    script += f"printf %s {word(config)} | curl -K -"
    # Nobody tells the command where its input ends.
    return ["sh", "-c", f"head -c {len(script.encode())} | sh"], script


def reply_of(done: Executed) -> Reply:
    """What came of it. Failed where it says nothing of that."""
    body, _, last = done.stdout.rpartition("\n")
    found = re.fullmatch(r"(\d+) (\d+) (.*)", last)
    if found is None:
        said = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or [msg("nothing")]
        raise Failed(
            msg("curl could not be run: {said}", said=one_line(said[-1])),
            msg("The image needs curl 7.75 or newer, and a shell with head."),
        )
    try:
        answered = json.loads(body)
    except (ValueError, RecursionError):
        answered = None
    return Reply(int(found[1]), int(found[2]), one_line(found[3], 200), answered if isinstance(answered, dict) else {})


def doubt(peer: str, credential: Credential, reply: Reply, uid: str) -> tuple[str, str] | None:
    """Why an istiod with this credential would not read `peer`, whose kube-system has that UID: what is wrong, completing "…
    cannot read PEER: ", and what cures it. None where all is right, as far as it can be known without a token.
    """
    place = one_line(credential.server)
    itself = msg(
        "Give in apiServer of {cluster} the address of its API server itself, not that of a proxy before it.",
        cluster=peer,
    )
    if reply.code in _VERIFY_FAILED:
        return _unverified(peer, credential, reply, itself)
    if reply.code:
        told = reply.told or msg("curl ended with {code}", code=reply.code)
        return msg("{server} cannot be asked: {problem}", server=place, problem=told), itself
    strange = msg("{server} answers HTTP {status}, as no API server does", server=place, status=reply.status)
    if not credential.token:
        known = "gitVersion" in reply.body if reply.status == 200 else reply.body.get("kind") == "Status"
        return None if known and reply.status in (200, 401, 403) else (strange, itself)
    if reply.status == 200 and reply.body.get("kind") == "Namespace":
        return _of_another(peer, place, reply, uid, itself)
    if reply.status == 401:
        what = msg(
            "{server} does not take the token of {cluster}'s reader (HTTP 401): another cluster answers there",
            server=place,
            cluster=peer,
        )
        return what, itself
    if reply.status == 403:
        cure = msg(
            "Look at ClusterRole istio-reader-clusterrole-… of {cluster}: the reader must be allowed to get Namespaces.",
            cluster=peer,
        )
        return msg("{server} does not let {cluster}'s reader read (HTTP 403)", server=place, cluster=peer), cure
    return strange, itself


def _unverified(peer: str, credential: Credential, reply: Reply, itself: str) -> tuple[str, str]:
    """What is wrong with the certificate that is shown there, and what cures it."""
    place, host = one_line(credential.server), one_line(urlsplit(credential.server).hostname or "")
    if _EXPIRED.search(reply.told):
        return (
            msg("the certificate of {server} is not valid now: {reason}", server=place, reason=reply.told),
            msg("Renew the API server's certificate of {cluster}.", cluster=peer),
        )
    if _OTHER_NAME.search(reply.told):
        return (
            msg(
                "the certificate of {server} does not name {name}: {reason}",
                server=place,
                name=one_line(credential.server_name) or host,
                reason=reply.told,
            ),
            msg(
                "Give in apiServer of {cluster} an address that its certificate names, or have it name {host} (kubeadm: "
                "apiServer.certSANs).",
                cluster=peer,
                host=host,
            ),
        )
    what = msg(
        "the certificate of {server} is not one of {cluster}'s own authority: {reason}",
        server=place,
        cluster=peer,
        reason=reply.told,
    )
    return what, itself


def _of_another(peer: str, place: str, reply: Reply, uid: str, itself: str) -> tuple[str, str] | None:
    """That kube-system is another's; None where it has that UID."""
    metadata = reply.body.get("metadata")
    found = one_line((metadata.get("uid") if isinstance(metadata, dict) else "") or msg("none"), 80)
    if found == uid:
        return None
    what = msg(
        "{server} is another cluster: its kube-system has UID {found}, that of {cluster} has {wanted}",
        server=place,
        found=found,
        cluster=peer,
        wanted=one_line(uid),
    )
    return what, itself


def _config(credential: Credential, trusted: str, connect: int, seconds: int) -> list[str]:
    """The request in curl's own file format."""
    parts = urlsplit(credential.server)
    host, port, name = parts.hostname or "", parts.port or 443, credential.server_name
    target = f"https://{bracketed(name or host)}:{port}{IDENTITY_PATH if credential.token else ANYBODY_PATH}"
    options = {
        "url": target, "noproxy": "*", "proto": "=https", "connect-timeout": str(connect), "max-time": str(seconds),
        "write-out": r"\n%{exitcode} %{http_code} %{errormsg}",
    }  # fmt: skip
    if name:
        options["connect-to"] = f"{bracketed(name)}:{port}:{bracketed(host)}:{port}"
    if credential.authority:
        options["cacert"] = trusted
    if credential.token:
        options["header"] = f"Authorization: Bearer {credential.token}"
    lines = ["silent", *(["insecure"] if credential.authority is None else [])]
    for key, value in options.items():
        escaped = value if key == "write-out" else value.replace("\\", "\\\\").replace('"', '\\"')
        if any(ord(char) < 0x20 for char in escaped):
            raise Failed(msg("the {option} of a remote secret holds control characters", option=key), "")
        lines.append(f'{key} = "{escaped}"')
    return lines
