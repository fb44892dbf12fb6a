"""OpenShift lets Pods run as users of its own choice only, and no Pod set up its own network: is Istio told?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.platform import is_openshift
from wizard.istio.overlaid import overlaid
from wizard.messages import msg
from wizard.text import listing


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, cluster = looked.mesh, looked.member, looked.cluster
    if not is_openshift(cluster):
        return
    wanted = (("values.global.platform", "openshift"), ("components.cni.enabled", True))
    lacking = [
        f"spec.{place}: {str(value).lower()}" for place, value in wanted if overlaid(mesh, member, place) != value
    ]
    if lacking:
        spec = "components: {cni: {enabled: true, namespace: kube-system}}, values: {global: {platform: openshift}}"
        yield Found(
            msg(
                "this is OpenShift (it serves security.openshift.io), whose security context constraints refuse the users that "
                "Istio's Pods run as by default: no file in istio.overlays sets {fields}",
                fields=listing(lacking),
            ),
            msg(
                "Name a file in istio.overlays that holds: {overlay}. An older Istio also needs there the values.cni of its own "
                "profile openshift.",
                overlay=f"{{apiVersion: install.istio.io/v1alpha1, kind: IstioOperator, spec: {{{spec}}}}}",
            ),
        )


CHECK = Check("platform", "cluster", "error", find, optional=True)
