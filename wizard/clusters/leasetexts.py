"""What a person is told of a Lease that another run holds, or that was lost to one."""

from __future__ import annotations

from datetime import UTC, datetime

from wizard.clusters.kinds import Object, Ref
from wizard.errors import Busy, Failed, NeedsPerson, Trouble
from wizard.messages import msg
from wizard.text import duration, one_line


def situation(ref: Ref, live: Object) -> str:
    """Who holds it."""
    spec = live.get("spec") or {}
    return msg(
        "{holder} holds {lease} since {time}",
        holder=one_line(spec.get("holderIdentity"), 200),
        lease=str(ref),
        time=one_line(spec.get("acquireTime") or msg("an unknown time"), 40),
    )


def watched(ref: Ref, live: Object, lasts: int) -> str:
    """That it is looked at for so many seconds."""
    return msg(
        "{situation}; watched for up to {duration}, whether that run still lives",
        situation=situation(ref, live),
        duration=duration(lasts),
    )


def busy(cluster: str, ref: Ref, live: Object, lasts: int) -> Busy:
    """What to raise where its holder renewed it meanwhile."""
    return Busy(
        msg(
            "{cluster}: {situation}, until {time} by its clock and longer if it is renewed; nothing was changed",
            cluster=cluster,
            situation=situation(ref, live),
            time=_until(live, lasts),
        ),
        msg("Wait until that run has ended, or end it there; then run this again."),
    )


def silent(cluster: str, ref: Ref, live: Object, lasts: int, resume: str) -> NeedsPerson:
    """What to raise where its holder did not. `resume`: the command that goes on with the work."""
    return NeedsPerson(
        msg(
            "{cluster}: {situation}, and gave no sign of life for {duration}: it died, or it was cut off and may still have "
            "an istioctl at work; nothing was changed",
            cluster=cluster,
            situation=situation(ref, live),
            duration=duration(lasts),
        ),
        msg("Make sure that it has ended, then consent to take over: {command}", command=f"{resume} --take-over"),
    )


def lost(cluster: str, ref: Ref, found: Object | None) -> Trouble:
    """What to raise where it was ours; `found`: what is there now."""
    if found is None:
        what = msg(
            "{cluster}: {lease} was removed: another run may have worked there meanwhile",
            cluster=cluster,
            lease=str(ref),
        )
        return Failed(what, msg("Make sure that no other run works on this mesh."))
    what = msg(
        "{cluster}: another run took over: {situation}; this one changed nothing since",
        cluster=cluster,
        situation=situation(ref, found),
    )
    return Busy(what, msg("Leave the mesh to that run, or wait until it has ended."))


def _until(live: Object, lasts: int) -> str:
    try:
        renewed = datetime.fromisoformat(str(live["spec"]["renewTime"]))
        return datetime.fromtimestamp(renewed.timestamp() + lasts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (KeyError, ValueError, OverflowError, OSError):
        return msg("an unknown time")
