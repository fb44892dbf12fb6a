"""Do the clocks of the clusters agree?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.answering import answering
from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.view import Here
from wizard.clusters.clock import clock_offset
from wizard.messages import msg
from wizard.text import listing, one_line

# istiod dates what it signs two minutes back: a peer that is further behind takes it for not yet valid.
BACKDATED_SECONDS = 120.0
NEAR_SECONDS = 60.0


def find(here: Here) -> Iterable[Fault]:
    own = _offset(here)
    # By this machine's clock; where all clusters differ from that alike, it is this machine's that is wrong.
    if abs(own) < NEAR_SECONDS:
        return
    ahead = {peer.name: own - _offset(peer) for peer in answering(here.peers)}
    most = max(ahead.values(), key=abs, default=0.0)
    if abs(most) < NEAR_SECONDS:
        return
    is_far = abs(most) >= BACKDATED_SECONDS
    peers = [name for name, seconds in ahead.items() if seconds * most > 0 and abs(seconds) >= NEAR_SECONDS]
    told = {"cluster": here.name, "seconds": abs(most), "peers": listing(peers)}
    if most > 0:
        text = msg(
            "{cluster}: its clock is {seconds:.0f} s ahead of that of {peers}: from 120 s on, certificates that it signs are "
            "refused there as not yet valid",
            **told,
        )
    else:
        text = msg(
            "{cluster}: its clock is {seconds:.0f} s behind that of {peers}: from 120 s on, it refuses their new certificates as "
            "not yet valid",
            **told,
        )
    far = [name for name, seconds in ahead.items() if abs(seconds) >= BACKDATED_SECONDS]
    yield Fault(
        text,
        msg("clock of {server}", server=one_line(here.server)),
        evidence=(msg("the time in the API servers' answers, beside this machine's"),),
        remedy=msg("Turn on time synchronisation on the nodes of {cluster}, such as chrony.", cluster=here.name),
        commands=("date -u", f"{here.kubectl} get --raw /version -v=8", "sudo timedatectl set-ntp true"),
        breaks=tuple(pair for name in far for pair in ((here.name, name), (name, here.name))),
        severity="error" if is_far else "warning",
    )


def _offset(here: Here) -> float:
    return clock_offset(here.version()) or 0.0


CHECK = Check(
    "clock",
    "cluster",
    "error",
    find,
    short=msg("clock off"),
    title="The clocks of the clusters agree",
    reads="The time in the answers of the API servers, beside this machine's.",
    means="Certificates that one cluster signs are not yet valid in the other, so that whatever restarts there is refused. "
    "Istio dates certificates of workloads two minutes back, so from 120 s on it is an error; from 60 s on a warning.",
    arises="Nodes without time synchronisation, or virtual machines that were paused.",
    mend="Turn on time synchronisation on the nodes, such as chrony or `timedatectl set-ntp true`. Certificates that were "
    "refused become valid by themselves.",
)
