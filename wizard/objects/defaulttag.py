"""The webhooks of the default revision's tag. `istioctl install` makes them beside its manifest, last of all and one after the
other: for an install without a revision each time, for one with a revision only where no injection webhook carries the tag.
So where the second one is missing, because an install was killed between the two or because somebody deleted it, no further
install would make it.
"""

from __future__ import annotations

import copy

from wizard.clusters.kinds import MUTATING_WEBHOOK, VALIDATING_WEBHOOK, Ref
from wizard.clusters.port import Cluster
from wizard.istio.operator import OPERATOR_NAME
from wizard.objects.ownership import ISTIO_OWNER, label

TAG = "istio.io/tag"
REVISION = "istio.io/rev"
INJECTOR = Ref(MUTATING_WEBHOOK, "istio-revision-tag-default")
VALIDATOR = Ref(VALIDATING_WEBHOOK, "istiod-default-validator")


def made_beside(cluster: Cluster, revision: str | None) -> tuple[Ref, ...]:
    """The webhooks that an install of this revision (empty: of none) makes beside what it renders."""
    tagged = bool(revision) and bool(cluster.objects(MUTATING_WEBHOOK, labels=f"app=sidecar-injector,{TAG}=default"))
    return () if tagged else (INJECTOR, VALIDATOR)


def recreate(cluster: Cluster) -> None:
    """Let the next install make both, where it is ours and not whole. The injection webhook stays and works meanwhile: it only
    loses the labels by which istioctl knows it (as the tag's, and as the revision's own), and gets them back from istioctl.
    """
    live = cluster.get(INJECTOR)
    if live is None or label(live, TAG) is None or label(live, ISTIO_OWNER) != OPERATOR_NAME:
        return
    if cluster.get(VALIDATOR) is None:
        unknown = copy.deepcopy(live)
        for name in (TAG, REVISION):
            unknown["metadata"]["labels"].pop(name, None)
        cluster.replace(unknown)
