"""Why TLS with an API server failed, and what the certificate that it shows, or the client's own, has to do with it."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters.patience import within
from wizard.clusters.wire import Route, tls_context
from wizard.messages import msg
from wizard.text import listing, one_line

WRONG_ADDRESS = msg("Check the server's address in the kubeconfig, and proxies on the way.")
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)  # OpenSSL's X509_V_ERR_…
_STRANGERS = (2, 18, 19, 20, 21)  # who signed it is not known here
_LOOK_SECONDS = 3.0  # to look at a certificate that was refused


def explained(error: ssl.SSLError, route: Route) -> tuple[str, str]:
    """Why TLS failed, and what to do."""
    host = one_line(route.hostname or urlsplit(route.server).hostname or "")
    if not isinstance(error, ssl.SSLCertVerificationError):
        reason = str(error.reason or error)
        if "ALERT" in reason:
            alert = reason.replace("_", " ").lower().partition("alert ")[2]
            return (
                msg("it refuses this machine's client certificate ({reason})", reason=alert or one_line(reason)),
                msg("Get a new kubeconfig: its client certificate may have expired or be of another cluster."),
            )
        return (
            msg("what listens there does not speak TLS as an API server does ({reason})", reason=one_line(reason)),
            WRONG_ADDRESS,
        )
    return _distrusted(error, route, host)


def _distrusted(error: ssl.SSLCertVerificationError, route: Route, host: str) -> tuple[str, str]:
    """Why the certificate that the server shows is not trusted, and what to do."""
    shown = None if route.proxy else _shown(route)
    dates = dates_of(shown) if shown else None
    if error.verify_code == _EXPIRED:
        end, now = minute(dates[1]) if dates else "", clock()
        return (
            msg("a certificate that it shows expired on {end}, and this machine's clock says {now}", end=end, now=now)
            if end
            else msg("a certificate that it shows expired, and this machine's clock says {now}", now=now),
            msg(
                "Renew the API server's certificates (kubeadm: `kubeadm certs renew all`), or set this machine's clock."
            ),
        )
    if error.verify_code == _NOT_YET:
        begin, now = minute(dates[0]) if dates else "", clock()
        return (
            msg(
                "a certificate that it shows is valid only from {begin}, and this machine's clock says {now}",
                begin=begin,
                now=now,
            )
            if begin
            else msg("a certificate that it shows is valid only later, and this machine's clock says {now}", now=now),
            msg("Set this machine's clock, or the one of the machine that issued the certificate."),
        )
    if error.verify_code in _OTHER_NAME:
        names = _names(shown) if shown else []
        return (
            msg("its certificate is not for {host} but for {names}", host=host, names=listing(names[:8]))
            if names
            else msg("its certificate is not for {host}", host=host),
            msg("Give a server address that the certificate names, or set tls-server-name in the kubeconfig."),
        )
    if error.verify_code in _STRANGERS:
        issuer = _issuer(shown) if shown else ""
        return (
            msg(
                "its certificate is signed by {issuer} by none of the kubeconfig's certificate authorities",
                issuer=issuer,
            )
            if issuer
            else msg("its certificate is signed by none of the kubeconfig's certificate authorities"),
            msg(
                "Get a current kubeconfig of this cluster; if this one should be right, somebody may stand in between."
            ),
        )
    return (
        one_line(error.verify_message),
        msg("Check the API server's certificate and the kubeconfig's certificate authority."),
    )


def clock() -> str:
    """What this machine's clock says."""
    return minute(datetime.now(UTC))


def minute(moment: datetime) -> str:
    """A moment as it is told."""
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


def dates_of(pem: bytes) -> tuple[datetime, datetime] | None:
    """From when to when this certificate is valid; None where it is none."""
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
