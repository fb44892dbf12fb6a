"""What an API server's answer means to a person: a trouble with a sentence and a way on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from wizard.clusters.bounds import TooMuch, parsed
from wizard.clusters.distrust import WRONG_ADDRESS, clock, dates_of, explained, minute
from wizard.clusters.kinds import Kind, Object
from wizard.clusters.port import Conflicting, Outdated
from wizard.clusters.shapes import LIST, Misshapen, Shape, object_of, shaped
from wizard.clusters.typed import kubectl
from wizard.clusters.wire import Answer, NoAnswer, Route
from wizard.errors import Failed, NotAllowed, NotKnown, Unreachable, words_of
from wizard.messages import joined, msg
from wizard.text import one_line


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
    """Who was asked, and for `what` (as in “not allowed to …”); for sentences. `mutating`: it was to change something."""

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
        return Missing(_refused(asked, message), message, served=served)
    if status == 401:
        return _not_known(asked, message, certificate)
    causes = _causes(told)
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return Failed(_refused(asked, message), msg("Wait until the namespace is gone, then try again."))
    if status == 403:
        what = msg(
            "{cluster}: not allowed to {request}: {answer}", cluster=asked.name, request=asked.what, answer=message
        )
        return NotAllowed(what, msg("Ask for a context of a cluster administrator."))
    if status == 409:
        owners = {
            one_line(cause.get("field", "")): _manager_in(str(cause.get("message", "")))
            for cause in causes
            if cause.get("reason") == "FieldManagerConflict"
        }
        if owners:
            fields = joined((msg("{field} (by {owner})", field=each, owner=owners[each]) for each in owners), ", ")
            what = msg(
                "{cluster}: {request}: others own {fields}", cluster=asked.name, request=asked.what, fields=fields
            )
            return Conflicting(what, msg("Agree with them who sets it."), owners)
        return Outdated(_refused(asked, message), msg("Somebody else changed it: run the same command again."))
    if status == 410:
        return Gone(_refused(asked, message), msg("Try again."))
    if status in {429, 502, 503, 504}:
        what = msg(
            "{cluster}: the API server {server} cannot {request} now: {status} {answer}",
            cluster=asked.name,
            server=one_line(asked.server),
            request=asked.what,
            status=status,
            answer=message,
        )
        return Unreachable(_perhaps_done(asked, what), msg("It may be starting or overloaded: try again in a while."))
    return Failed(_refused(asked, message), msg("See the API server's log.") if status >= 500 else "")


def _refused(asked: Asked, answer: str) -> str:
    return msg("{cluster}: {request}: {answer}", cluster=asked.name, request=asked.what, answer=answer)


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
        raise too_large(asked, words_of(error)) from error
    except Misshapen as error:
        raise misshapen(asked, words_of(error)) from error
    except (ValueError, RecursionError):
        pass
    what = msg(
        "{cluster}: {request}: what answers at {server} is no API server: {answer}",
        cluster=asked.name,
        request=asked.what,
        server=one_line(asked.server),
        answer=repr(one_line(answer.data[:400].decode(errors="replace"), 100)),
    )
    raise Failed(_perhaps_done(asked, what), WRONG_ADDRESS)


def object_in(asked: Asked, answer: Answer, kind: Kind, *, stored: bool = True) -> Object:
    """The object of that kind that a good answer holds. Failed where it holds none. `stored`: a cluster keeps it."""
    body = decoded(asked, answer, {})
    try:
        return object_of(kind, body, stored=stored)
    except Misshapen as error:
        raise misshapen(asked, words_of(error)) from error


def objects_in(asked: Asked, answer: Answer, kind: Kind) -> tuple[list[Object], str]:
    """One page of a list: its objects, and what to ask for the next one with; empty where there is none."""
    body = decoded(asked, answer, LIST)
    try:
        items = body.get("items") or []
        found = [object_of(kind, item, where=f"items[{index}]", lean=True) for index, item in enumerate(items)]
    except Misshapen as error:
        raise misshapen(asked, words_of(error)) from error
    return found, str((body.get("metadata") or {}).get("continue") or "")


def too_large(asked: Asked, why: str) -> TooLarge:
    """What to raise where more comes than is taken in; `why` says which."""
    what = msg(
        "{cluster}: {request}: {problem}, which is more than is taken in",
        cluster=asked.name,
        request=asked.what,
        problem=why,
    )
    return TooLarge(
        _perhaps_done(asked, what),
        msg(
            "Check that {server} is the right API server; if it is, find out what fills this cluster.",
            server=one_line(asked.server),
        ),
    )


def misshapen(asked: Asked, why: str) -> Failed:
    """What to raise where an answer is not as the Kubernetes API has it; `why` says where."""
    what = msg(
        "{cluster}: {request}: {server} does not answer as an API server does: {problem}",
        cluster=asked.name,
        request=asked.what,
        server=one_line(asked.server),
        problem=one_line(why, 200),
    )
    return Failed(
        _perhaps_done(asked, what),
        msg("Check the server's address in the kubeconfig, proxies on the way, and the API server's log."),
    )


def no_answer(asked: Asked, failure: NoAnswer, route: Route, *, unsure: bool) -> Unreachable:
    """What to raise where none came. `unsure`: what was asked may have been done all the same."""
    server = one_line(asked.server)
    if failure.tls is not None:
        why, remedy = explained(failure.tls, route)
        what = msg(
            "{cluster}: the API server {server} gives no trusted connection: {problem}",
            cluster=asked.name,
            server=server,
            problem=why,
        )
        return Unreachable(what, remedy)
    what = msg(
        "{cluster}: the API server {server} does not answer: {reason}",
        cluster=asked.name,
        server=server,
        reason=one_line(words_of(failure)),
    )
    return Unreachable(
        _perhaps_done(asked, what) if unsure else what,
        msg("Check that it runs and that this machine reaches it, then try again."),
    )


def _perhaps_done(asked: Asked, problem: str) -> str:
    """With that it may have been done all the same, where something was to be."""
    if not asked.mutating:
        return problem
    return msg(
        "{problem}; whether it did {request} is unknown until the next look", problem=problem, request=asked.what
    )


def _told(answer: Answer) -> tuple[dict[str, Any], str]:
    """The API server's Status and its message; what stands for one where another answered."""
    if answer.told:
        return {}, answer.told
    try:
        told = parsed(answer.data)
        message = one_line(told.get("message") or "", 500)
    except (ValueError, AttributeError, RecursionError):
        told, message = {}, one_line(re.sub(r"<[^>]*>", " ", answer.data[:4000].decode(errors="replace")), 300)
    return told, message or _phrase(answer.status)


def _phrase(status: int) -> str:
    try:
        return msg("the API server answered {status} ({phrase})", status=status, phrase=HTTPStatus(status).phrase)
    except ValueError:
        return msg("the API server answered {status}", status=status)


def _causes(told: dict[str, Any]) -> list[dict[str, Any]]:
    details = told.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []


def _manager_in(message: str) -> str:
    # The API server's words: conflict with "MANAGER" using v1 / conflict with "MANAGER"
    parts = message.split('"')
    return one_line(parts[1]) if len(parts) > 2 else one_line(message)


def _not_known(asked: Asked, message: str, certificate: bytes) -> NotKnown:
    context = one_line(asked.context)
    dates = dates_of(certificate) if certificate else None
    if dates is not None and not dates[0] <= datetime.now(UTC) <= dates[1]:
        what = msg(
            "{cluster}: the API server does not accept the credentials of context {context}: its client certificate is valid "
            "from {begin} to {end}, and this machine's clock says {now}",
            cluster=asked.name,
            context=context,
            begin=minute(dates[0]),
            end=minute(dates[1]),
            now=clock(),
        )
        return NotKnown(
            what, msg("Get a new kubeconfig (kubeadm: `kubeadm certs renew admin.conf`), or set this machine's clock.")
        )
    what = msg(
        "{cluster}: the API server does not accept the credentials of context {context}: {answer}",
        cluster=asked.name,
        context=context,
        answer=message,
    )
    return NotKnown(
        what, msg("They may have expired: check with `{command}`.", command=f"{kubectl(asked)} auth whoami")
    )
