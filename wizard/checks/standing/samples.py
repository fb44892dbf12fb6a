"""The sample's Pods, whose traffic is judged, as the checks of its traffic look at them."""

from __future__ import annotations

from collections.abc import Iterable

from wizard import kinds
from wizard.checks.finding import Pair
from wizard.checks.standing.answering import answering
from wizard.checks.standing.view import Here, View
from wizard.clusters.kinds import POD, SERVICE, Object, Ref
from wizard.istio.proxies import has_sidecar
from wizard.mesh import sample
from wizard.messages import msg
from wizard.objects.pods import is_going
from wizard.text import listing, one_line, quoted

_AMBIENT = "ambient.istio.io/redirection"


def service_ref(view: View) -> Ref:
    """The sample's Service, the same in every cluster."""
    return Ref(SERVICE, sample.SERVICE, view.mesh.verify.namespace)


def service_of(there: Here) -> Object | None:
    """The sample's Service in this cluster; None where there is none, or where the API server does not answer, which is told
    elsewhere.
    """
    return there.get(service_ref(there.view)) if answering([there]) else None


def is_wanted(here: Here) -> bool:
    """Whether the sample should be in this cluster: in a mesh that was recorded, or where another cluster has it."""
    return not here.view.inferred or any(service_of(there) is not None for there in (here, *here.peers))


def pods_of(there: Here, app: str) -> list[Object]:
    """The Pods of the sample's client or server in this cluster that were not deleted; none where its API server does not
    answer, which is told elsewhere. Where no client of ours is, that of Istio's older samples stands for it.
    """
    apps = (app, sample.OLDER_CLIENT) if app == sample.CLIENT else (app,)
    found = _pods(there, f"app in ({','.join(apps)})" if len(apps) > 1 else f"app={app}")
    by_app = [[pod for pod in found if (pod["metadata"].get("labels") or {}).get("app") == each] for each in apps]
    return next((pods for pods in by_app if pods), [])


def _pods(there: Here, selector: str) -> list[Object]:
    found = there.objects(POD, there.mesh.verify.namespace, selector) if answering([there]) else []
    return [pod for pod in found if not is_going(pod)]


def client_of(there: Here) -> str:
    """What the client here is called: its Deployment, its container, and label `app` of its Pods."""
    return next((str(pod["metadata"]["labels"]["app"]) for pod in pods_of(there, sample.CLIENT)), sample.CLIENT)


def labels_of(there: Here, app: str) -> list[dict[str, str]]:
    """The labels of these Pods; those that they will have, where there are none now."""
    found = [dict(pod["metadata"].get("labels") or {}) for pod in pods_of(there, app)]
    if app == sample.CLIENT:
        return found or [{"app": app}]
    return found or [{"app": app, "version": there.mesh.sample_version(there.name)}]


def client_proxies(here: Here) -> list[Object]:
    """The running client Pods with a sidecar."""
    return [pod for pod in pods_of(here, sample.CLIENT) if is_running(pod) and has_sidecar(pod)]


def is_running(pod: Object) -> bool:
    """Whether its containers run."""
    return (pod.get("status") or {}).get("phase") == "Running"


def is_ambient(pod: Object) -> bool:
    """Whether a node's proxy serves this Pod, so that it needs no sidecar."""
    return (pod["metadata"].get("annotations") or {}).get(_AMBIENT) == "enabled"


def state_of(deployment: Object | None, pods: Iterable[Object]) -> str:
    """Why none of these Pods of a Deployment serves, in a few words."""
    pods = list(pods)
    if deployment is None:
        return msg("it is missing")
    if not _replicas(deployment):
        return msg("it is scaled to 0")
    waits = dict.fromkeys(
        one_line(state["waiting"]["reason"])
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if (state := status.get("state") or {}).get("waiting", {}).get("reason")
    )
    if waits:
        return msg("waiting: {reasons}", reasons=listing(waits))
    return msg("not Ready") if pods else msg("it has no Pod")


def bring_back(here: Here, ref: Ref, deployment: Object | None, app: str) -> str:
    """What a person types to have Pods of a Deployment again, or to see why there are none."""
    if deployment is None or _replicas(deployment):
        return f"{in_namespace(here)} describe deployments,pods -l {quoted(f'app={app}')}"
    return f"{in_namespace(here)} scale {quoted(f'deployment/{ref.name}')} --replicas=1"


def _replicas(deployment: Object) -> int:
    return int((deployment.get("spec") or {}).get("replicas", 1))


def unproven(view: View, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
    """Those of the pairs whose traffic is not known to pass: it did not, or was not tried."""

    def passes(source: str, target: str) -> bool:
        told = view.traffic.get(source)
        heard = told.heard if told else None
        return heard is not None and heard.answers[view.mesh.sample_version(target)] > 0

    return tuple(pair for pair in pairs if not passes(*pair))


def within(view: View, target: str) -> tuple[Pair, ...]:
    """All traffic to a cluster, that of its own client included."""
    return (*view.into(target), (target, target))


def out_and_within(view: View, source: str) -> tuple[Pair, ...]:
    """All traffic of a cluster's client, that to its own Pods included."""
    return (*view.out_of(source), (source, source))


def mending_step(here: Here) -> str | None:
    """The step that makes the sample anew here; None of a mesh that nobody recorded."""
    return None if here.view.inferred else kinds.SAMPLE.id(here.name)


def in_namespace(here: Here) -> str:
    """`kubectl` at the sample's namespace, as a person types it."""
    return f"{here.kubectl} -n {quoted(here.mesh.verify.namespace)}"
