"""Why is this not ready? One reader for every wait: the namespace, what makes the Pods and whoever refuses them, the Pods,
their containers and the last words of those that died, and what Kubernetes warns of.

What heals by itself is shown while it is waited for. A cause that waiting does not heal ends the wait, once it has stood for a
while and the cluster is known to have tried again: what somebody mended a moment ago may still be written there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from wizard.clusters.kinds import DEPLOYMENT, JOB, NAMESPACE, POD, Object, Ref
from wizard.clusters.namespaces import going
from wizard.clusters.patience import FINAL_SECONDS
from wizard.clusters.port import Cluster
from wizard.clusters.typed import Place, kubectl
from wizard.errors import Failed, NotAllowed, Unreachable
from wizard.messages import msg
from wizard.objects.pods import is_going, is_pod_of
from wizard.probes.warnings import Warned, warnings
from wizard.text import one_line, quoted

T = TypeVar("T")
LOOK_EVERY = 2.0  # seconds: causes are read from several objects
_OLD = 3  # times as long where it stood already when the wait began, and nothing tells whether it was met anew
LAST_LINES = 5
WORDS = 600  # characters of a container's last words

Layer = Literal["namespace", "refused", "ended", "scheduling", "image", "start", "crash", "other"]

_PULLING = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_NOT_STARTED = {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "PreCreateHookError",
    "PostStartHookError",
}  # fmt: skip
_STARTING = {"ContainerCreating", "PodInitializing"}
# The API server's words for what it will refuse again, and for what looks so and passes.
_REFUSED = re.compile(
    r"is forbidden:|denied the request|is invalid:|violates PodSecurity|failed calling webhook .* service \"[^\"]*\" not found"
)
_PASSES = re.compile(r"error looking up service account|because it is being terminated")
_CREATING = re.compile(r"^(?:\(combined from similar events\): *)?Error creating: *")


@dataclass(frozen=True)
class Cause:
    """Why something is not ready, in one printable sentence. `final`: waiting does not heal it. `subject`: what it is about;
    `evidence`: differs each time that the cluster met it anew, empty where what it says is always of now.
    """

    layer: Layer
    subject: str
    text: str
    final: bool = False
    evidence: str = ""
    remedy: str = ""


class Unready:
    """Looks, during one wait, for the cause that some workloads are not ready."""

    def __init__(
        self,
        cluster: Cluster,
        workloads: Callable[[], Sequence[Ref]],
        at: Place,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """`workloads`: the Deployments or Jobs, of one namespace. `say`: is told each cause once, but for what passes soon."""
        self._cluster = cluster
        self._workloads = workloads
        self._at = at
        self._say = say
        self._next = time.monotonic()
        self._looked = False
        self._seen: dict[tuple[str, str], tuple[float, str | None]] = {}  # since when, and what was known before
        self._cause: Cause | None = None
        self.over: Cause | None = None  # what ends the wait

    def look(self) -> str:
        """The cause as it is now, empty where nothing tells; asks the cluster every few seconds only. `over` may be set."""
        now = time.monotonic()
        if now >= self._next:
            self._cause = first_cause(self._cluster, self._workloads(), self._at)
            self._next = time.monotonic() + LOOK_EVERY
            self._judge(self._cause, now)
            self._looked = True
        return self._cause.text if self._cause else ""

    def check(self) -> str:
        """`look`, which raises Failed where the wait is in vain."""
        told = self.look()
        if self.over:
            raise Failed(self._here(self.over), self.over.remedy)
        return told

    def _judge(self, cause: Cause | None, now: float) -> None:
        if cause is None:
            return
        key = cause.layer, cause.subject
        if key not in self._seen and self._say and cause.layer != "other":
            self._say(self._here(cause))
        # What stood at the very first look may be of before this wait: what mends it may only be on its way.
        since, known = self._seen.setdefault(key, (now, None if self._looked else cause.evidence))
        old = cause.evidence == known
        seconds = FINAL_SECONDS * (_OLD if old else 1)
        if cause.final and now - since >= seconds and not (old and cause.evidence):
            self.over = cause

    def _here(self, cause: Cause) -> str:
        return msg("{cluster}: {problem}", cluster=self._cluster.name, problem=cause.text)


def first_cause(cluster: Cluster, workloads: Sequence[Ref], at: Place) -> Cause | None:
    """The cause that any of these Deployments or Jobs, all of one namespace, has not all of its Pods ready: one that is final
    before others, the outermost first; None where nothing tells.
    """
    if not workloads:
        return None
    place = workloads[0].namespace
    ending = going(_allowed(lambda: cluster.get(Ref(NAMESPACE, place)), None))
    if ending:
        return Cause("namespace", place, ending.what, True, "", ending.remedy)
    pods = [pod for pod in cluster.objects(POD, place) if not is_going(pod)]
    reader = _Reader(cluster, place, at)
    causes: list[Cause] = []
    for ref in workloads:
        own = [pod for pod in pods if is_pod_of(pod, ref.name)]
        causes += reader.of_workload(ref, own)
        for pod in own:
            causes += reader.of_pod(pod)
    return next((cause for cause in causes if cause.final), causes[0] if causes else None)


class _Reader:
    """Reads the layers of one look; events only where nothing else tells."""

    def __init__(self, cluster: Cluster, namespace: str, at: Place) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._kubectl = f"{kubectl(at)} -n {quoted(namespace)}"
        self._warnings: list[Warned] | None = None

    def of_workload(self, ref: Ref, own: Sequence[Object]) -> Iterator[Cause]:
        live = _allowed(lambda: self._cluster.get(ref), None)
        if live is None:
            return
        true = {
            each.get("type"): each
            for each in (live.get("status") or {}).get("conditions") or []
            if each.get("status") == "True"
        }
        if ref.kind == JOB and "Failed" in true:
            told = " ".join(one_line(true["Failed"].get(key) or "", 300) for key in ("reason", "message"))
            yield Cause("ended", str(ref), msg("{object} ended: {reason}", object=_named(ref), reason=told), True)
        refused = true.get("ReplicaFailure") if ref.kind == DEPLOYMENT else None
        if refused or not own:
            yield from self._refused(ref, live, refused)
        stale = [each for each in (live.get("status") or {}).get("conditions") or [] if _is_late(each)]
        for condition in stale if not own else ():
            told = one_line(condition.get("message", ""))
            yield Cause("other", str(ref), msg("{object}: {reason}", object=_named(ref), reason=told))

    def _refused(self, ref: Ref, live: Object, condition: Object | None) -> Iterator[Cause]:
        """By the newest event about its Pods, which tells when that was, else by its condition."""
        born = str(live["metadata"].get("creationTimestamp") or "")[:19]
        events = [each for each in self._warned() if _makes_for(each, ref) and each.at[:19] >= born]
        text = _CREATING.sub("", events[-1].message) if events else one_line((condition or {}).get("message", ""), 900)
        if not text:
            return
        evidence = events[-1].evidence if events else str((condition or {}).get("lastTransitionTime"))
        final = bool(_REFUSED.search(text)) and not _PASSES.search(text)
        yield Cause(
            "refused",
            str(ref),
            msg("no Pod of {object} can be made: {reason}", object=_named(ref), reason=text),
            final,
            evidence,
            let_in(text, self._kubectl),
        )

    def of_pod(self, pod: Object) -> Iterator[Cause]:
        status = pod.get("status") or {}
        name = one_line(pod["metadata"]["name"])
        conditions = {each.get("type"): each for each in status.get("conditions") or []}
        if (conditions.get("Ready") or {}).get("status") == "True":
            return
        if status.get("phase") == "Failed":
            ends = [(each.get("state") or {}).get("terminated") or {} for each in _containers(status)]
            ended = next((each for each in (status, *ends) if each.get("reason") or each.get("message")), {})
            told = " ".join(one_line(ended.get(key) or "") for key in ("reason", "message")).strip()
            why = told or msg("it does not say why")
            yield Cause("other", name, msg("pod {pod} failed: {reason}", pod=name, reason=why))
            return
        scheduled = conditions.get("PodScheduled") or {}
        if scheduled.get("status") == "False":
            # A node may still come: an autoscaler makes one for it.
            why = one_line(scheduled.get("message", ""))
            yield Cause("scheduling", name, msg("pod {pod} cannot be scheduled: {reason}", pod=name, reason=why))
            return
        found = [cause for each in _containers(status) for cause in self._of_container(pod, each)]
        yield from found
        if not found:
            about = [each for each in self._warned() if (each.kind, each.name) == (POD.kind, pod["metadata"]["name"])]
            for each in about[-1:]:
                yield Cause("other", name, msg("pod {pod}: {reason}", pod=name, reason=each.message))

    def _of_container(self, pod: Object, status: Object) -> Iterator[Cause]:
        name, container = one_line(pod["metadata"]["name"]), one_line(status.get("name", "?"))
        state = status.get("state") or {}
        waiting = state.get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        why = f"{one_line(reason)} {one_line(waiting.get('message', ''), 300)}"
        subject = f"{name} {container}"
        ended = state.get("terminated") or {}
        if reason in _PULLING:
            image = one_line(status.get("image", "?"))
            yield Cause(
                "image",
                subject,
                msg("image {image} of pod {pod} cannot be pulled: {reason}", image=image, pod=name, reason=why),
                True,
                "",
                msg("Check the image's name and that the nodes reach its registry; or load the image onto the nodes."),
            )
        elif reason == "CrashLoopBackOff" or (ended and ended.get("exitCode") and status.get("restartCount")):
            yield self._crash(pod, status, subject)
        elif reason in _NOT_STARTED:
            yield Cause(
                "start",
                subject,
                msg(
                    "container {container} of pod {pod} cannot be started: {reason}",
                    container=container,
                    pod=name,
                    reason=why,
                ),
                True,
                "",
                msg(
                    "Make what it asks for. Look at it: {command}",
                    command=f"{self._kubectl} describe pod {quoted(pod['metadata']['name'])}",
                ),
            )
        elif reason and reason not in _STARTING:
            yield Cause("other", subject, msg("pod {pod}: {reason}", pod=name, reason=why))

    def _crash(self, pod: Object, status: Object, subject: str) -> Cause:
        ref, container = Ref(POD, pod["metadata"]["name"], self._namespace), str(status.get("name", ""))
        state, last = status.get("state") or {}, status.get("lastState") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        words = self._words(ref, container) or one_line(ended.get("message") or "", WORDS)
        restarts = int(status.get("restartCount") or 0)
        final = restarts > 1  # one that dies once or twice may only have come too early
        told = {
            "container": one_line(container),
            "pod": one_line(ref.name),
            "how": _how(ended, restarts),
            "words": words,
        }
        text = (
            msg("container {container} of pod {pod} dies again and again ({how}); its last words: {words}", **told)
            if words
            else msg("container {container} of pod {pod} dies again and again ({how}); it left no words", **told)
        )
        logs = f"{self._kubectl} logs --previous {quoted(ref.name)} -c {quoted(container)}"
        remedy = msg("Mend what its last words tell of. All of them: {command}", command=logs)
        return Cause("crash", subject, text, final, f"{restarts}", remedy)

    def _words(self, pod: Ref, container: str) -> str:
        """The end of what it printed before it died."""
        for previous in (True, False):
            try:
                lines = self._cluster.logs(pod, container, lines=LAST_LINES, previous=previous).splitlines()
            except Unreachable:
                raise
            except Failed:
                return ""
            words = one_line(" | ".join(line.strip() for line in lines if line.strip()), 4 * WORDS)
            if words:
                return words if len(words) <= WORDS else f"…{words[1 - WORDS :]}"
        return ""

    def _warned(self) -> list[Warned]:
        if self._warnings is None:
            self._warnings = warnings(self._cluster, self._namespace)
        return self._warnings


def _containers(status: Object) -> list[Object]:
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _how(ended: Object, restarts: int) -> str:
    """How a container died, in few words."""
    reason, code = one_line(ended.get("reason") or "", 60), one_line(ended.get("exitCode", "?"), 20)
    if reason in ("", "Error"):
        return msg("exit code {code}, restarts: {restarts}", code=code, restarts=restarts)
    return msg("{reason}, exit code {code}, restarts: {restarts}", reason=reason, code=code, restarts=restarts)


def _named(ref: Ref) -> str:
    return f"{ref.kind.kind} {one_line(ref.name)}"


def _is_late(condition: Object) -> bool:
    return (condition.get("type"), condition.get("reason")) == ("Progressing", "ProgressDeadlineExceeded")


def _makes_for(warned: Warned, ref: Ref) -> bool:
    """Whether this tells that no Pod of the Deployment or Job can be made. A ReplicaSet is named `deployment-hash`."""
    if warned.reason not in ("FailedCreate", "FailedCreatePod") and ref.kind == DEPLOYMENT:
        return False
    if warned.kind == "ReplicaSet":
        return ref.kind == DEPLOYMENT and warned.name.rpartition("-")[0] == ref.name
    return (warned.kind, warned.name) == (ref.kind.kind, ref.name)


def let_in(refusal: str, tool: str) -> str:
    """What lets the Pod in, by who refused it."""
    if "quota" in refusal:
        return msg(
            "Raise the ResourceQuota, or give the namespace a LimitRange with defaults for what it wants to be told: {command}",
            command=f"{tool} describe resourcequota",
        )
    if "security context constraint" in refusal:
        return msg(
            "OpenShift refuses the Pod's users: Istio must be installed for platform openshift, with its CNI plugin."
        )
    if "PodSecurity" in refusal:
        return msg("Allow it by the namespace's label pod-security.kubernetes.io/enforce, or use Istio's CNI plugin.")
    if "webhook" in refusal:
        return msg("Mend the admission webhook that the message names, or delete it where what it belongs to is gone.")
    return msg(
        "Have it allowed by whoever looks after the cluster. What was refused: {command}", command=f"{tool} get events"
    )


def _allowed(read: Callable[[], T], otherwise: T) -> T:
    """What may not be read explains nothing, and is no failure of the wait."""
    try:
        return read()
    except NotAllowed:
        return otherwise
