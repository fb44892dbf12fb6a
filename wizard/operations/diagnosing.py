"""Why do the clusters of a mesh not answer each other? Its traffic is tried, then its checks are asked; nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from wizard.checks.finding import Pair
from wizard.checks.standing.diagnosis import Diagnosis, diagnose
from wizard.checks.standing.view import Traffic, View
from wizard.clusters.port import Cluster
from wizard.errors import Trouble
from wizard.fanout import of_each
from wizard.mesh.model import Mesh
from wizard.probes.traffic import Heard, ask

# How likely it may be that a version which nobody heard has only had bad luck. Where a request failed, each further round may
# cost its whole deadline; where all were answered, a round costs next to nothing.
_LUCK_WITH_ERRORS = 0.005
_LUCK = 1e-6


def diagnosis_of(
    mesh: Mesh,
    clusters: Mapping[str, Cluster],
    *,
    inferred: bool,
    pairs: Collection[Pair] | None = None,
    mute: str = "",
) -> Diagnosis:
    """The diagnosis of a standing mesh, with what its clients hear now. `inferred`: nobody recorded this mesh, see `View`.
    `pairs`: the traffic in question, where that is not all. `mute`: why nobody need be asked. Never raises Trouble: what could
    not be looked at is a finding.
    """
    sources = [each.name for each in mesh.clusters if pairs is None or any(each.name == source for source, _ in pairs)]
    heard = of_each(sources, lambda name: Traffic(None, mute) if mute else _heard(mesh, clusters[name]))
    traffic = dict(zip(sources, heard, strict=True))
    return diagnose(View(mesh, clusters, inferred=inferred or mesh.adopted, traffic=traffic), pairs)


def pairs_between(mesh: Mesh, source: str | None, target: str | None) -> frozenset[Pair] | None:
    """The traffic from a cluster, to one, or both; None where that is all."""
    if source is None and target is None:
        return None
    names = [each.name for each in mesh.clusters]
    return frozenset(
        (one, other) for one in ([source] if source else names) for other in ([target] if target else names)
    )


def _heard(mesh: Mesh, cluster: Cluster) -> Traffic:
    versions = [mesh.sample_version(each.name) for each in mesh.clusters]
    requests = 4 * len(versions)
    answers: Counter[str] = Counter()
    asked, error = 0, ""
    while True:
        try:
            heard = ask(cluster, mesh.verify.namespace, requests)
        except Trouble as trouble:
            if asked:
                return Traffic(Heard(answers, error or trouble.what))
            return Traffic(None, trouble.what)
        answers.update(heard.answers)
        asked, error = asked + requests, heard.error or error
        luck = (1 - 1 / len(versions)) ** asked
        if all(answers[version] for version in versions) or luck < (_LUCK_WITH_ERRORS if error else _LUCK):
            return Traffic(Heard(answers, error))
