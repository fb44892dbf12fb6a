"""The door to a simulated cluster: implements `wizard.clusters.port.Cluster`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wizard.clusters.kinds import NAMESPACE, POD, SECRET, Kind, Object, Ref, ref_of
from wizard.clusters.port import MANAGER, Executed, Outdated, Right, ServerVersion
from wizard.credentials import hold_secret
from wizard.errors import Failed, Unreachable
from wizard.messages import msg
from wizard.simulated import refusals
from wizard.simulated.answers import UNREACHED, not_allowed, refused, request
from wizard.simulated.machine import Machine
from wizard.simulated.pods import containers
from wizard.simulated.population import KUBERNETES
from wizard.simulated.shell import Shell

_LATENCY = 0.02  # of one call


class SimulatedCluster:
    """One simulated cluster under the name that the mesh gives it. Thread-safe; costs nothing to make."""

    def __init__(self, name: str, machine: Machine, shell: Shell) -> None:
        self.name = name
        self.server = machine.server
        self.machine = machine
        self.shell = shell

    @property
    def verified(self) -> bool:
        return self.machine.verified

    def version(self) -> ServerVersion:
        began = self.machine.pace.now()
        with self._asked("version"):
            major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
            date = self.machine.clock().replace(microsecond=0)
            return ServerVersion(KUBERNETES, int(major), int(minor), date, self.machine.pace.now() - began)

    def identity(self) -> str:
        with self._asked("identity"):
            found = self.machine.store.find(Ref(NAMESPACE, "kube-system"))
            if found is None:
                raise Failed(
                    msg("{cluster} has no namespace kube-system", cluster=self.name),
                    msg("Is this a Kubernetes cluster?"),
                )
            return str(found.manifest["metadata"]["uid"])

    def get(self, ref: Ref) -> Object | None:
        with self._asked("get", ref.kind):
            record = self.machine.store.find(ref)
            found = {**record.show(), "apiVersion": self.machine.store.version(ref.kind)} if record else None
            if found and ref.kind is SECRET:
                hold_secret(found)
            return found

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        with self._asked("list", kind, namespace):
            found = self.machine.store.all(kind, namespace, labels)
            version = self.machine.store.version(kind)
            return [{**record.show(), "apiVersion": version} for record in found]

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        ref = ref_of(manifest)
        with self._asked("patch", ref.kind, ref.namespace, call="apply"):
            return self.machine.store.apply(manifest, MANAGER, force=force, dry_run=dry_run).show()

    def create(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        with self._asked("create", ref.kind, ref.namespace):
            return self.machine.store.create(manifest, MANAGER).show()

    def replace(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        with self._asked("update", ref.kind, ref.namespace, call="replace"):
            return self.machine.store.replace(manifest, MANAGER).show()

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        with self._asked("delete", ref.kind, ref.namespace):
            store = self.machine.store
            record = store.find(ref)
            if record is None:
                return False
            metadata = record.manifest["metadata"]
            for what, given, live in (
                ("UID", uid, metadata["uid"]),
                ("ResourceVersion", version, metadata["resourceVersion"]),
            ):
                if given and given != live:
                    told = (
                        f'Operation cannot be fulfilled on {ref.kind.resource} "{ref.name}": the {what} in the precondition '
                        f"({given}) does not match the {what} in record ({live}). The object might have been modified, or "
                        "deleted and then recreated"
                    )
                    raise Outdated(refused(self.name, request("delete", str(ref)), told), "")
            if ref.kind == NAMESPACE:
                if not metadata.get("deletionTimestamp"):
                    stamp = self.machine.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
                    doomed = {**record.manifest, "metadata": {**metadata, "deletionTimestamp": stamp}}
                    store.update({**doomed, "status": {"phase": "Terminating"}}, "kube-apiserver")
            else:
                store.remove(ref)
            self.machine.settle()
            return True

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        with self._asked("review"):
            return [right for right in rights if self._lacks(right)]

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        with self._asked("exec", POD):
            record = self.machine.store.find(pod)
            problem = _not_running(record.manifest, container) if record else f'pods "{pod.name}" not found'
        if record is None or problem:
            what = msg(
                "{cluster}: no command could be run in {pod}: {answer}",
                cluster=self.name,
                pod=str(pod),
                answer=problem,
            )
            raise Failed(what, "")
        return self.shell.run(self.machine, record.manifest, container, list(argv), seconds, stdin)

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        with self._asked("logs", POD):
            record = self.machine.store.find(pod)
            end = _last_words(self.machine, record.manifest, container) if record else None
            if end is not None:
                return "".join(end.splitlines(keepends=True)[-lines:])
            if previous or record is None or _not_running(record.manifest, container):
                return ""
            return f"info\t{container} of {pod.name} is ready (simulated)\n"

    def close(self) -> None:
        """Nothing is held."""

    @contextmanager
    def _asked(self, verb: str, kind: Kind | None = None, namespace: str = "", *, call: str = "") -> Iterator[None]:
        """One request: its time passes, its failures happen, and then its answer is made under the lock."""
        machine, call = self.machine, call or verb
        machine.pace.sleep(_LATENCY)
        if machine.slow:
            machine.pace.sleep(machine.slow)
        if machine.unreachable:
            raise Unreachable(
                msg(
                    "{cluster}: the API server {server} does not answer: {problem}",
                    cluster=self.name,
                    server=self.server,
                    problem="connection refused",
                ),
                UNREACHED,
            )
        failure = machine.failure(call, f"{call} {kind.kind}" if kind else call)
        if failure is not None:
            raise failure
        with machine.settled():
            machine.asked[call] = machine.asked.get(call, 0) + 1
            if kind is not None and self._lacks(Right(verb, kind, namespace)):
                raise not_allowed(
                    self.name,
                    request(call, kind.resource),
                    f'{kind.resource} is forbidden: User "kubernetes-admin" cannot {verb} resource "{kind.plural}" in API '
                    f'group "{kind.group}"',
                )
            yield

    def _lacks(self, right: Right) -> bool:
        what = f"{right.kind.resource}/{right.subresource}" if right.subresource else right.kind.resource
        return f"{right.verb} {what}" in self.machine.missing_rights


def _last_words(machine: Machine, pod: Object, container: str) -> str | None:
    """What this container printed before it died, None where it did not."""
    if (pod["metadata"]["namespace"], pod["metadata"]["name"]) not in machine.lives:
        return None
    ends = [refusals.death(machine, each) for each in containers(pod) if each["name"] == container]
    return ends[0].words if ends and ends[0] else None


def _not_running(pod: Object, container: str) -> str:
    if container not in [each["name"] for each in containers(pod)]:
        return f"container {container} is not valid for pod {pod['metadata']['name']}"
    if (pod.get("status") or {}).get("phase") != "Running":
        return f'container not found ("{container}")'
    return ""
