"""What the real door makes of an API server's refusals: the same sentences around its words."""

from __future__ import annotations

from wizard.clusters.kinds import Ref
from wizard.errors import Failed, NotAllowed
from wizard.messages import msg

UNREACHED = msg("Check that it runs and that this machine reaches it, then try again.")


def refused(cluster: str, request: str, answer: str) -> str:
    """Of what was asked there; `answer`: the API server's words."""
    return msg("{cluster}: {request}: {answer}", cluster=cluster, request=request, answer=answer)


def request(call: str, what: str) -> str:
    """What was asked, of an object or of all objects of a kind."""
    match call:
        case "get":
            return msg("get {object}", object=what)
        case "list":
            return msg("list {resource}", resource=what)
        case "apply":
            return msg("apply {object}", object=what)
        case "create":
            return msg("create {object}", object=what)
        case "replace":
            return msg("replace {object}", object=what)
        case "delete":
            return msg("delete {object}", object=what)
        case _:
            return f"{call} {what}"


def not_made(cluster: str, ref: Ref, answer: str) -> Failed:
    """What to raise where there is no place for this object."""
    what = msg("{cluster}: {object} cannot be made: {answer}", cluster=cluster, object=str(ref), answer=answer)
    return Failed(what, "")


def not_allowed(cluster: str, asked: str, answer: str) -> NotAllowed:
    """What to raise where this user may not do what was asked."""
    return NotAllowed(
        msg("{cluster}: not allowed to {request}: {answer}", cluster=cluster, request=asked, answer=answer),
        msg("Ask for a context of a cluster administrator."),
    )
