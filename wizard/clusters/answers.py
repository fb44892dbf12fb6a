"""What an API server's answer means to a person: a trouble with a sentence and a way on."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters.bounds import TooMuch, parsed
from wizard.clusters.kinds import Kind, Object
from wizard.clusters.patience import within
from wizard.clusters.port import Conflicting, Outdated
from wizard.clusters.shapes import LIST, Misshapen, Shape, object_of, shaped
from wizard.clusters.typed import kubectl
from wizard.clusters.wire import Answer, NoAnswer, Route, tls_context
from wizard.errors import Failed, NotAllowed, NotKnown, Unreachable
from wizard.text import listing, one_line

_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)  # OpenSSL's X509_V_ERR_…
_STRANGERS = (2, 18, 19, 20, 21)  # who signed it is not known here
_LOOK_SECONDS = 3.0  # to look at a certificate that was refused


class Missing(Failed):
    """404: the object, its namespace or its kind. `told`: the API server's words. `served`: the API server knows at least the
    kind, in that version. `unsure`: an earlier request of the same call may have taken it.
    """

    def __init__(self, what: str, told: str, *, served: bool = True) -> None:
        super().__init__(what, "")
        self.told = told
        self.served = served
        self.unsure = False


class Gone(Failed):
    """410: what was to be gone on with is forgotten."""


@dataclass(frozen=True)
class Asked:
    """Who was asked, and for what; for sentences. `mutating`: it was to change something."""

    name: str
    context: str
    kubeconfig: Path | None
    server: str
    what: str
    mutating: bool = False


def refusal(asked: Asked, answer: Answer, certificate: bytes = b"") -> Failed:
    """What to raise for an answer that is an error. `certificate`: the client's own."""
    told, message = _told(answer)
    status = answer.status
    if status == 404:
        # An API server names the object that it lacks; of a path that it does not have it says just that.
        details = told.get("details")
        served = isinstance(details, dict) and bool(details.get("name"))
        return Missing(f"{asked.name}: {asked.what}: {message}", message, served=served)
    if status == 401:
        return _not_known(asked, message, certificate)
    causes = _causes(told)
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return Failed(f"{asked.name}: {asked.what}: {message}", "Wait until the namespace is gone, then try again.")
    if status == 403:
        return NotAllowed(
            f"{asked.name}: not allowed to {asked.what}: {message}", "Ask for a context of a cluster administrator."
        )
    if status == 409:
        owners = {
            one_line(cause.get("field", "")): _manager_in(str(cause.get("message", "")))
            for cause in causes
            if cause.get("reason") == "FieldManagerConflict"
        }
        if owners:
            fields = ", ".join(f"{field} (by {owner})" for field, owner in owners.items())
            return Conflicting(
                f"{asked.name}: {asked.what}: others own {fields}", "Agree with them who sets it.", owners
            )
        return Outdated(
            f"{asked.name}: {asked.what}: {message}", "Somebody else changed it: run the same command again."
        )
    if status == 410:
        return Gone(f"{asked.name}: {asked.what}: {message}", "Try again.")
    if status in {429, 502, 503, 504}:
        return Unreachable(
            f"{asked.name}: the API server {one_line(asked.server)} cannot {asked.what} now: {status} {message}{_unknown(asked)}",
            "It may be starting or overloaded: try again in a while.",
        )
    return Failed(f"{asked.name}: {asked.what}: {message}", "See the API server's log." if status >= 500 else "")


class TooLarge(Failed):
    """The answer is larger than what is taken in."""


def decoded(asked: Asked, answer: Answer, shape: Shape) -> Object:
    """What a good answer says, which is of that shape. Failed where it is not, or none of an API server: somebody else answers
    there. TooLarge where it would take too much memory.
    """
    try:
        body = parsed(answer.data or b"{}")
        if isinstance(body, dict):
            found: Object = shaped(body, shape)
            return found
    except TooMuch as error:
        raise too_large(asked, error) from error
    except Misshapen as error:
        raise misshapen(asked, error) from error
    except (ValueError, RecursionError):
        pass
    raise Failed(
        f"{asked.name}: {asked.what}: what answers at {one_line(asked.server)} is no API server: "
        f"{one_line(answer.data[:400].decode(errors='replace'), 100)!r}{_unknown(asked)}",
        "Check the server's address in the kubeconfig, and proxies on the way.",
    )


def object_in(asked: Asked, answer: Answer, kind: Kind, *, stored: bool = True) -> Object:
    """The object of that kind that a good answer holds. Failed where it holds none. `stored`: a cluster keeps it."""
    body = decoded(asked, answer, {})
    try:
        return object_of(kind, body, stored=stored)
    except Misshapen as error:
        raise misshapen(asked, error) from error


def objects_in(asked: Asked, answer: Answer, kind: Kind) -> tuple[list[Object], str]:
    """One page of a list: its objects, and what to ask for the next one with; empty where there is none."""
    body = decoded(asked, answer, LIST)
    try:
        items = body.get("items") or []
        found = [object_of(kind, item, where=f"items[{index}]", lean=True) for index, item in enumerate(items)]
    except Misshapen as error:
        raise misshapen(asked, error) from error
    return found, str((body.get("metadata") or {}).get("continue") or "")


def too_large(asked: Asked, what: object) -> TooLarge:
    """What to raise where more comes than is taken in; `what` says which."""
    return TooLarge(
        f"{asked.name}: {asked.what}: {what}, which is more than is taken in{_unknown(asked)}",
        f"Check that {one_line(asked.server)} is the right API server; if it is, find out what fills this cluster.",
    )


def misshapen(asked: Asked, what: object) -> Failed:
    """What to raise where an answer is not as the Kubernetes API has it; `what` says where."""
    return Failed(
        f"{asked.name}: {asked.what}: {one_line(asked.server)} does not answer as an API server does: "
        f"{one_line(what, 200)}{_unknown(asked)}",
        "Check the server's address in the kubeconfig, proxies on the way, and the API server's log.",
    )


def no_answer(asked: Asked, failure: NoAnswer, route: Route, *, unsure: bool) -> Unreachable:
    """What to raise where none came. `unsure`: what was asked may have been done all the same."""
    server = one_line(asked.server)
    if failure.tls is not None:
        why, remedy = _explained(failure.tls, route)
        return Unreachable(f"{asked.name}: the API server {server} gives no trusted connection: {why}", remedy)
    return Unreachable(
        f"{asked.name}: the API server {server} does not answer: {one_line(failure)}{_unknown(asked) if unsure else ''}",
        "Check that it runs and that this machine reaches it, then try again.",
    )


def _unknown(asked: Asked) -> str:
    return f"; whether it did {asked.what} is unknown until the next look" if asked.mutating else ""


def _told(answer: Answer) -> tuple[dict[str, Any], str]:
    """The API server's Status and its message; what stands for one where another answered."""
    try:
        told = parsed(answer.data)
        message = one_line(told.get("message") or "", 500)
    except (ValueError, AttributeError, RecursionError):
        told, message = {}, one_line(re.sub(r"<[^>]*>", " ", answer.data[:4000].decode(errors="replace")), 300)
    return told, message or _phrase(answer.status)


def _phrase(status: int) -> str:
    try:
        return f"the API server answered {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"the API server answered {status}"


def _causes(told: dict[str, Any]) -> list[dict[str, Any]]:
    details = told.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []


def _manager_in(message: str) -> str:
    # The API server's words: conflict with "MANAGER" using v1 / conflict with "MANAGER"
    parts = message.split('"')
    return one_line(parts[1]) if len(parts) > 2 else one_line(message)


def _not_known(asked: Asked, message: str, certificate: bytes) -> NotKnown:
    what = f"{asked.name}: the API server does not accept the credentials of context {one_line(asked.context)}"
    dates = _dates(certificate) if certificate else None
    if dates is not None and not dates[0] <= datetime.now(UTC) <= dates[1]:
        return NotKnown(
            f"{what}: its client certificate is valid from {_day(dates[0])} to {_day(dates[1])}, and {_clock()}",
            "Get a new kubeconfig (kubeadm: `kubeadm certs renew admin.conf`), or set this machine's clock.",
        )
    return NotKnown(
        f"{what}: {message}",
        f"They may have expired: check with `{kubectl(asked)} auth whoami`.",
    )


# -- certificates


def _explained(error: ssl.SSLError, route: Route) -> tuple[str, str]:
    """Why TLS failed, and what to do."""
    host = one_line(route.hostname or urlsplit(route.server).hostname or "")
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = str(error.reason or error)
        if "ALERT" in reason:
            alert = reason.replace("_", " ").lower().partition("alert ")[2]
            return (
                f"it refuses this machine's client certificate ({alert or one_line(reason)})",
                "Get a new kubeconfig: its client certificate may have expired or be of another cluster.",
            )
        return (
            f"what listens there does not speak TLS as an API server does ({one_line(reason)})",
            "Check the server's address in the kubeconfig, and proxies on the way.",
        )
    shown = None if route.proxy else _shown(route)
    dates = _dates(shown) if shown else None
    if error.verify_code == _EXPIRED:
        return (
            f"a certificate that it shows expired{f' on {_day(dates[1])}' if dates else ''}, and {_clock()}",
            "Renew the API server's certificates (kubeadm: `kubeadm certs renew all`), or set this machine's clock.",
        )
    if error.verify_code == _NOT_YET:
        return (
            f"a certificate that it shows is valid only{f' from {_day(dates[0])}' if dates else ' later'}, and {_clock()}",
            "Set this machine's clock, or the one of the machine that issued the certificate.",
        )
    if error.verify_code in _OTHER_NAME:
        names = _names(shown) if shown else []
        return (
            f"its certificate is not for {host}{f' but for {listing(names[:8])}' if names else ''}",
            "Give a server address that the certificate names, or set tls-server-name in the kubeconfig.",
        )
    if error.verify_code in _STRANGERS:
        issuer = _issuer(shown) if shown else ""
        return (
            f"its certificate is signed{f' by {issuer}' if issuer else ''} by none of the kubeconfig's certificate authorities",
            "Get a current kubeconfig of this cluster; if this one should be right, somebody may stand in between.",
        )
    return one_line(
        error.verify_message
    ), "Check the API server's certificate and the kubeconfig's certificate authority."


def _clock() -> str:
    return f"this machine's clock says {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _shown(route: Route) -> bytes | None:
    """The certificate that the server shows, in PEM. Nothing is sent, since it is not trusted; None where it cannot be had."""
    parts = urlsplit(route.server)

    def look() -> bytes:
        context = tls_context(verify=False)
        at = (str(parts.hostname), parts.port or 443)
        with (
            socket.create_connection(at, timeout=_LOOK_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=route.hostname or parts.hostname) as spoken,
        ):
            return ssl.DER_cert_to_PEM_cert(spoken.getpeercert(binary_form=True) or b"").encode()

    try:
        return within(2 * _LOOK_SECONDS, look)
    except (OSError, ValueError):
        return None


def _certificate(pem: bytes) -> Any:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def _dates(pem: bytes) -> tuple[datetime, datetime] | None:
    found = _certificate(pem)
    return (found.not_valid_before_utc, found.not_valid_after_utc) if found else None


def _issuer(pem: bytes) -> str:
    found = _certificate(pem)
    return one_line(found.issuer.rfc4514_string(), 120) if found else ""


def _names(pem: bytes) -> list[str]:
    from cryptography import x509

    found = _certificate(pem)
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value if found else ()
    except x509.ExtensionNotFound:
        return []
    return [one_line(name.value, 80) for name in names]
