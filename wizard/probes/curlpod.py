"""Throw-away Pods that try addresses from inside a cluster: a Job of sleeping Pods, in each of which curl is run. Removed when
done; where the wizard is killed, Kubernetes ends and removes them.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from wizard.clusters.kinds import JOB, POD, Object, Ref
from wizard.clusters.platform import is_openshift
from wizard.clusters.port import Cluster
from wizard.engine.step import Job, Step
from wizard.errors import Failed, Interrupted, NeedsPerson, Unreachable
from wizard.fanout import of_each
from wizard.mesh import model
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import counted, joined, msg
from wizard.objects.ownership import is_of
from wizard.objects.placing import put
from wizard.probes.asking import Reply, command_of, reply_of
from wizard.probes.credential import Credential
from wizard.probes.unready import Unready
from wizard.text import listing, one_line
from wizard.world import World

log = logging.getLogger(__name__)

LABEL = "meshwizard/reach"  # on the Job and its Pods: whose they are
CONTAINER = "curl"
CURL_TAG = "8.16.0"
_UPSTREAM_HUB = "docker.io/istio"
SLEEP_SECONDS = 90  # within which one is asked
# Where the API server was away, controllers and scheduler may notice a minute late that it is back.
START_SECONDS = 120
LIVES_SECONDS = START_SECONDS + SLEEP_SECONDS
OTHERS_SECONDS = 20  # after which the Pods that run do without those that do not
CONNECT_SECONDS = 4
ANSWER_SECONDS = 6
_NAME_IMAGE = msg("Load the image onto the nodes, or name another with curl in it in verify.curlImage.")
_GO_ON = msg(
    "To go on without trying it, skip this step in the wizard, or set verify.probes to never in the mesh file; "
    "what cannot be reached then shows later."
)
# Images may name their user, which Kubernetes cannot tell from root: so a number is given. OpenShift gives one of the
# namespace's own, and refuses any other.
_NOBODY = {
    "runAsNonRoot": True,
    "runAsUser": 65534,
    "runAsGroup": 65534,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_OF_NAMESPACE = {"runAsNonRoot": True}
_AT_ONCE = 50  # what curl does in parallel
_REFUSED = "refused"
# curl's own words. Only its verbose output tells why a connection failed.
_FAILED = re.compile(r"connect to (\S+) port (\d+)(?: from \S+ port -?\d+)? failed: ([^\r\n]+)")
_CONNECTED = re.compile(r"(?:Connected to|Established connection to) (\S+) \(\S+?\)? port (\d+)")


def curl_image(mesh: Mesh) -> str:
    """The client's image: as chosen, else curl's own beside Istio's public hub, else `curl` in the private one."""
    if mesh.verify.curl_image:
        return mesh.verify.curl_image
    repository = "docker.io/curlimages/curl" if mesh.verify.hub == _UPSTREAM_HUB else f"{mesh.verify.hub}/curl"
    return f"{repository}:{CURL_TAG}"


@dataclass(frozen=True)
class Answer:
    """What came of trying one address. `connected`: somebody took the connection, whatever came of it then. `refused`: the
    packets got there and nobody listens. `answered`: TLS or HTTP was spoken. `unresolved`: its name has no address. `told`:
    what kept it from answering, printable.
    """

    connected: bool = False
    refused: bool = False
    answered: bool = False
    unresolved: bool = False
    told: str = ""


class CurlPods:
    """A context: Pods in which curl tries addresses. They are made when first needed, and made again where they ended."""

    def __init__(self, world: World, mesh: Mesh, member: model.Cluster, step: Step, job: Job, *, pods: int = 1) -> None:
        """`pods`: how many, each on another node; fewer where the nodes do not take them."""
        self._cluster = world.cluster(member.name)
        self._mesh = mesh
        self._member = member
        self._step = step
        self._job = job
        self._wanted = pods
        self._ref: Ref | None = None
        self._pods: list[Object] = []

    def __enter__(self) -> Self:
        remove_probes(self._cluster, self._step.id, self._mesh.name)  # of a wizard that was killed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._end()
        except Failed as failure:
            # What went wrong before is worth more than this; Kubernetes removes it by itself.
            log.warning("a probe is left: %s", failure.what)
            self._job.say(
                msg(
                    "{problem}; {job} ends and goes by itself within {seconds} s",
                    problem=failure.what,
                    job=str(self._ref),
                    seconds=LIVES_SECONDS,
                )
            )

    def start(self) -> None:
        """Make them, where none runs. NeedsPerson where none can."""
        if self._pods:
            return
        self._end()  # what an attempt that failed half-way may have left
        name = f"meshwizard-{self._step.kind}-{secrets.token_hex(3)}"
        self._ref = ref = Ref(JOB, name, SYSTEM_NAMESPACE)
        began = time.monotonic()
        unready = Unready(self._cluster, lambda: [ref], self._member)

        def look() -> tuple[list[Object] | None, str]:
            mine = f"{LABEL}={name}"
            pods = self._cluster.objects(POD, SYSTEM_NAMESPACE, mine)
            running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
            # A node that takes none must not hold up what the others can tell.
            late = time.monotonic() - began >= OTHERS_SECONDS
            if len(running) >= self._wanted or (running and late):
                return running, ""
            return None, unready.check() or msg("it is starting")

        try:
            put(self._cluster, self._manifest(name), self._mesh.name)
            what = counted("a probe Pod to run", "{count} probe Pods to run", self._wanted)
            self._pods = self._job.wait(what, look, seconds=START_SECONDS, every=0.4)
        except (Unreachable, Interrupted):
            raise
        except Failed as failure:
            if unready.over:
                remedy = _NAME_IMAGE if unready.over.layer == "image" else failure.remedy
                raise self._none_ran(unready.over.text, remedy) from failure
            raise self._none_ran(failure.what, failure.remedy) from failure

    def ask(self, urls: Sequence[str]) -> list[tuple[str, dict[str, Answer]]]:
        """(node, url → its answer) from each Pod. NeedsPerson where no Pod can run, Failed where none can be asked."""
        self.start()
        try:
            found = of_each(self._pods, lambda pod: self._asked(pod, urls), at_once=8)
            return [(_node_of(pod), told) for pod, told in zip(self._pods, found, strict=True)]
        except Failed:
            self._end()
            raise

    def _asked(self, pod: Object, urls: Sequence[str]) -> dict[str, Answer]:
        self._job.check()
        argv = [
            "curl", "-skv", "--noproxy", "*", "--parallel",
            "--connect-timeout", str(CONNECT_SECONDS), "--max-time", str(ANSWER_SECONDS),
            "-w", r"%{url} %{exitcode} %{time_connect} %{errormsg}\n",
        ]  # fmt: skip
        for url in dict.fromkeys(urls):
            argv += ["-o", "/dev/null", url]
        rounds = 1 + len(urls) // _AT_ONCE
        ref = Ref(POD, pod["metadata"]["name"], SYSTEM_NAMESPACE)
        done = self._cluster.execute(ref, CONTAINER, argv, seconds=ANSWER_SECONDS * rounds + 10)
        return answers(urls, done.stdout, done.stderr)

    def ask_as_istiod(self, credential: Credential) -> Reply:
        """What the API server answers to who asks with this credential. NeedsPerson where no Pod can run, Failed where it cannot
        be asked.
        """
        self.start()
        self._job.check()
        argv, stdin = command_of(credential, connect=CONNECT_SECONDS, seconds=ANSWER_SECONDS)
        ref = Ref(POD, self._pods[0]["metadata"]["name"], SYSTEM_NAMESPACE)
        return reply_of(self._cluster.execute(ref, CONTAINER, argv, seconds=ANSWER_SECONDS + 10, stdin=stdin))

    def _none_ran(self, why: str, remedy: str) -> NeedsPerson:
        name = self._member.name
        if why.startswith(f"{name}: "):
            why = why.removeprefix(f"{name}: ")
        return NeedsPerson(
            msg("no probe could run in {cluster}: {problem}", cluster=name, problem=why), joined((remedy, _GO_ON))
        )

    def _end(self) -> None:
        self._pods = []
        if self._ref is not None:
            _remove(self._cluster, self._ref)
            self._ref = None

    def _manifest(self, name: str) -> Object:
        # Passes Pod security level `restricted`, and asks for nothing that a cluster could refuse.
        container = {
            "name": CONTAINER,
            "image": curl_image(self._mesh),
            "imagePullPolicy": self._mesh.istio.image_pull_policy,
            "command": ["/bin/sleep", str(SLEEP_SECONDS)],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        labels = probe_labels(name)
        pod: Object = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": _OF_NAMESPACE if is_openshift(self._cluster) else _NOBODY,
            "containers": [container],
        }
        if self._mesh.istio.pull_secret:
            pod["imagePullSecrets"] = [{"name": self._mesh.istio.pull_secret}]
        if self._mesh.tolerations:
            pod["tolerations"] = [each.manifest() for each in self._mesh.tolerations]
        if self._wanted > 1:
            apart = {"labelSelector": {"matchLabels": {LABEL: name}}, "topologyKey": "kubernetes.io/hostname"}
            pod["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [apart]}}
        return {
            "apiVersion": JOB.api_version,
            "kind": JOB.kind,
            "metadata": {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": {LABEL: _mark(self._step.id)}},
            "spec": {
                "parallelism": self._wanted,
                "completions": self._wanted,
                "backoffLimit": 0,
                "activeDeadlineSeconds": LIVES_SECONDS,
                "ttlSecondsAfterFinished": 0,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        }


def probe_labels(job: str) -> dict[str, str]:
    """The labels of the Pods of such a Job."""
    return {LABEL: job, "sidecar.istio.io/inject": "false"}


def remove_probes(cluster: Cluster, step: str, mesh: str) -> None:
    """Remove the probes that a step of this mesh left behind."""
    for item in cluster.objects(JOB, SYSTEM_NAMESPACE, f"{LABEL}={_mark(step)}"):
        if is_of(item, mesh):
            _remove(cluster, Ref(JOB, item["metadata"]["name"], SYSTEM_NAMESPACE))


def answers(urls: Iterable[str], stdout: str, stderr: str) -> dict[str, Answer]:
    """What curl's output says of each address. Failed where it says nothing of one."""
    lines = {}
    for line in stdout.splitlines():
        url, _, rest = line.partition(" ")
        code, _, rest = rest.partition(" ")
        connected, _, told = rest.partition(" ")
        lines[url] = (code, connected, told)
    given = {host for host, _ in map(_place, urls)}
    found = {}
    for url in urls:
        if url not in lines or not lines[url][0].isdecimal():
            said = stderr.strip().splitlines() or stdout.strip().splitlines() or [msg("nothing")]
            raise Failed(
                msg("curl gave no answer for {url}: {said}", url=one_line(url), said=one_line(said[-1])),
                msg("It must be curl 7.75 or newer."),
            )
        code, connected, told = lines[url]
        host, port = _place(url)
        # A name was looked up: what failed is told by the addresses that it stands for.
        why = {
            one_line(reason, 120)
            for at, at_port, reason in _FAILED.findall(stderr)
            if at_port == port and (at == host if is_ip(host) else at not in given)
        }
        found[url] = _answer(int(code), _took(url, connected, stderr), sorted(why), one_line(told, 200))
    return found


def _answer(code: int, connected: bool, why: list[str], told: str) -> Answer:
    told = listing(why) or told or msg("curl ended with {code}", code=code)
    if code in (5, 6):
        return Answer(unresolved=True, told=msg("the name cannot be resolved"))
    if code == 7:
        return Answer(refused=_REFUSED in told.lower(), told=told)
    if code == 28 and not connected:
        return Answer(told=msg("timed out after {seconds} s (a firewall?)", seconds=CONNECT_SECONDS))
    if code == 28:
        silent = msg("takes the connection, but gives no answer within {seconds} s", seconds=CONNECT_SECONDS)
        return Answer(connected=True, told=silent)
    return Answer(connected=True, answered=True)


def _took(url: str, connected: str, stderr: str) -> bool:
    host, port = _place(url)
    seconds = float(connected) if re.fullmatch(r"[0-9.]+", connected) else 0.0
    return seconds > 0 or any((at, at_port) == (host, port) for at, at_port in _CONNECTED.findall(stderr))


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.hostname or "", str(parts.port or 443)


def _remove(cluster: Cluster, job: Ref) -> None:
    cluster.delete(job)
    # They go with the Job, but only when the garbage collector comes round.
    for pod in _pods_of(cluster, job):
        cluster.delete(pod)


def _pods_of(cluster: Cluster, job: Ref) -> Iterator[Ref]:
    for pod in cluster.objects(POD, job.namespace, f"{LABEL}={job.name}"):
        yield Ref(POD, pod["metadata"]["name"], job.namespace)


def _mark(step: str) -> str:
    return hashlib.sha256(step.encode()).hexdigest()[:16]


def _node_of(pod: Object) -> str:
    return one_line((pod.get("spec") or {}).get("nodeName") or "?")
