"""Are the tokens in the remote secrets still good?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from wizard.checks.finding import Severity
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.reader import READER, Claims, account_of, claims_of, token_secret, tokens
from wizard.checks.standing.secrets import Entry, anew, fingerprint, lost, peers_of, secret_of, step_of, usable
from wizard.checks.standing.view import Here
from wizard.messages import counted, msg

SOON = timedelta(days=7)


def find(here: Here) -> Iterable[Fault]:
    for peer in peers_of(here):
        yield from faults(here, peer)


def faults(here: Here, peer: Here) -> Iterator[Fault]:
    """What keeps the peer's API server from taking the token, now or soon. Of an account that is gone another check tells."""
    held = usable(here, peer)
    if held is None:
        return
    entry, credential = held
    account = peer.get(account_of(peer, credential.token))
    if account is None:
        return
    claims = claims_of(credential.token)
    if claims and claims.uid and claims.uid != account["metadata"]["uid"]:
        yield _fault(here, peer, entry, msg("the account that it is of was made anew since"))
    elif token_secret(peer, credential.token) is None:
        yield from _of_no_secret(here, peer, entry, claims)


def _of_no_secret(here: Here, peer: Here, entry: Entry, claims: Claims | None) -> Iterator[Fault]:
    if claims is None:
        # What cannot be read may be of another issuer, but in a mesh of ours it is that of a Secret.
        if not here.view.inferred:
            yield _fault(here, peer, entry, msg("no Secret there has it any more"))
        elif tokens(peer):
            yield _fault(here, peer, entry, msg("no Secret there has it"), "unsure")
        return
    secret = peer.get(claims.secret) if claims.secret else None
    if claims.secret and secret is None:
        yield _fault(here, peer, entry, msg("{secret} there, of which it was, is gone", secret=str(claims.secret)))
    elif claims.secret and claims.end is None:
        yield _fault(here, peer, entry, msg("{secret} there has another by now", secret=str(claims.secret)))
    elif claims.end is not None:
        left = claims.end - (peer.version().date or datetime.now(UTC))
        if left <= timedelta():
            yield _fault(here, peer, entry, msg("it expired on {date} UTC", date=f"{claims.end:%Y-%m-%d %H:%M}"))
        elif left < SOON:
            yield _ending(here, peer, entry, claims.end, left.days)


def _fault(here: Here, peer: Here, entry: Entry, problem: str, severity: Severity | None = None) -> Fault:
    return Fault(
        msg(
            "{cluster}: {peer} does not take the token in {secret} any more: {problem}. istiod keeps what it knows of "
            "{peer} until it restarts, and learns nothing new",
            cluster=here.name,
            peer=peer.name,
            secret=str(entry.secret),
            problem=problem,
        ),
        str(entry.secret),
        evidence=tuple(_evidence(here, peer, entry)),
        remedy=msg("Make the Secret anew, which brings a token that is taken:"),
        commands=anew(here, peer, entry.secret),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        breaks=lost(here, peer),
        severity=severity,
    )


def _ending(here: Here, peer: Here, entry: Entry, end: datetime, days: int) -> Fault:
    return Fault(
        counted(
            "{cluster}: the token in {secret} ends on {date}, in {count} day: from then on istiod learns nothing new of "
            "{peer}, and once it restarts, nothing at all",
            "{cluster}: the token in {secret} ends on {date}, in {count} days: from then on istiod learns nothing new of "
            "{peer}, and once it restarts, nothing at all",
            days,
            cluster=here.name,
            secret=str(entry.secret),
            date=f"{end:%Y-%m-%d}",
            peer=peer.name,
        ),
        str(entry.secret),
        short=msg("remote secret's token ends"),
        evidence=tuple(_evidence(here, peer, entry)),
        remedy=msg("Make the Secret anew with a token that does not end, as istioctl does:"),
        commands=anew(here, peer, entry.secret),
        step=step_of(here, peer) if entry.secret == secret_of(peer.name) else None,
        severity="warning",
    )


def _evidence(here: Here, peer: Here, entry: Entry) -> Iterator[str]:
    credential = entry.said.credential
    if credential is not None:
        token = fingerprint(credential.token)
        yield msg("token in {secret} of {cluster}: {token}", secret=str(entry.secret), cluster=here.name, token=token)
    yield msg("Secrets with tokens in {namespace} of {peer}", namespace=READER.namespace, peer=peer.name)


CHECK = Check(
    "remote-secret-token",
    "discovery",
    "error",
    find,
    short=msg("token revoked"),
    title="The tokens in the remote secrets are still good",
    reads="The token in each remote secret; in the cluster that it is for, the Secrets with tokens in `istio-system` and the "
    "accounts, and what the token says of itself (the Secret that it belongs to, its end). It is shown by its fingerprint only.",
    means="The API server of that cluster does not take the token any more. istiod goes on with what it knows, and with its open "
    "connections as long as these last; it learns of no new Pod, and after a restart of none at all.",
    arises="The Secret with the reader's token was deleted or made anew, as a clean-up or a reinstall does; or the remote secret "
    "was made with a token that ends.",
    mend="Delete the remote secret, and make it anew by `istioctl create-remote-secret`; `meshwizard resume` does both.",
)
