"""Does the Istio that stands there run on this Kubernetes?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.standing.check import Check, Fault
from wizard.checks.standing.istiods import version_of
from wizard.checks.standing.view import Here
from wizard.istio.versions import kubernetes_trouble
from wizard.messages import msg
from wizard.text import one_line


def find(here: Here) -> Iterable[Fault]:
    version = here.version()
    trouble = kubernetes_trouble(version_of(here), version.minor)
    # That nobody tests a pair is worth a word only where something does not work.
    if trouble is None or (trouble[0] != "error" and not here.view.broken):
        return
    yield Fault(
        msg("{cluster}: {problem}", cluster=here.name, problem=trouble[1]),
        msg("API server {server}", server=one_line(here.server)),
        evidence=(
            msg(
                "the API server says {version}; the image of istiod tells Istio's version",
                version=one_line(version.git),
            ),
        ),
        remedy=msg("Take Istio or Kubernetes to a version that goes with the other."),
        commands=(f"{here.kubectl} version",),
        severity="warning" if trouble[0] == "error" else "unsure",
    )


CHECK = Check(
    "version",
    "cluster",
    "warning",
    find,
    short=msg("Istio and Kubernetes"),
    title="Istio and Kubernetes go together",
    reads="The API server's `/version`, and the version in the image of istiod.",
    means="Istio's project does not support this pair. It may work, but APIs that this Istio asks for may be gone. Where traffic "
    "does not pass, a pair that is only not tested is told as well, as `unsure`.",
    arises="Kubernetes was upgraded and Istio was not, or the other way round.",
    mend="Upgrade the older of the two. Istio's page of supported releases has the pairs.",
)
