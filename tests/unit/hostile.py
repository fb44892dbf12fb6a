"""An outside whose clusters, kubeconfigs and istioctl say hostile things wherever they may say anything."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wizard.clusters.contexts import ContextEntry, ContextFacts
from wizard.clusters.kinds import Kind, Object, Ref
from wizard.clusters.port import Cluster, Conflicting, Executed, ServerVersion
from wizard.errors import Failed, Mistake, NotAllowed
from wizard.mesh.model import Mesh
from wizard.outside import IstioctlFound
from wizard.simulated.outside import SimulatedOutside
from wizard.world import World

# One of each kind; \a…\a mark nothing, they are hostile themselves.
EVIL = (
    "\x1b[2J\x1b]52;c;aGk=\x07\x1b]8;;http://evil\x1b\\\\x\x1bPq\x1b\\\\ [/b][red]$x\r\x08\x00\x7f\x9b31m\x90 "
    "\u202eabc\u2066\u200b\u2060\ufeff\u2028\U000e0041\ud800\udc1b\nError: forged\n"
)
HUGE = EVIL + "A" * 1_000_000
_TOLD = {"message", "reason", "note", "manager", "operation", "kubeletVersion", "osImage"}


def poisoned(found: Any, told: frozenset[str] | set[str] = frozenset(_TOLD), key: str = "") -> Any:
    """A copy in which every text under one of these keys is hostile, and labels and annotations have hostile company."""
    if isinstance(found, dict):
        changed = {name: poisoned(value, told, name) for name, value in found.items()}
        if key in ("labels", "annotations"):
            changed |= {EVIL: EVIL, "evil": HUGE}
        return changed
    if isinstance(found, list):
        return [poisoned(value, told, key) for value in found]
    return EVIL if key in told and isinstance(found, str) else found


class HostileCluster:
    """Works, and says hostile things where only people read them; `spoil` makes it worse."""

    def __init__(self, real: Any, outside: Hostile) -> None:
        self._real = real
        self._outside = outside
        self.name = real.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def server(self) -> str:
        return self._outside.server or str(self._real.server)

    def version(self) -> ServerVersion:
        self._fail("version")
        return replace(self._real.version(), git=f"v1.34.4{EVIL}")

    def identity(self) -> str:
        self._fail("identity")
        return str(self._real.identity()) + self._outside.uid

    def get(self, ref: Ref) -> Object | None:
        self._fail("get")
        return self._seen(self._real.get(ref))

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        self._fail("objects")
        return [self._seen(each) for each in self._real.objects(kind, namespace, labels)]

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        self._fail("apply")
        if self._outside.conflicts:
            raise Conflicting(f"{self.name}: apply {EVIL}", EVIL, {EVIL: EVIL, ".data": HUGE})
        return poisoned(self._real.apply(manifest, force=force, dry_run=dry_run))

    def delete(self, ref: Ref, **more: Any) -> bool:
        self._fail("delete")
        return bool(self._real.delete(ref, **more))

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        self._fail("execute")
        done = self._real.execute(pod, container, argv, seconds=seconds, stdin=stdin)
        return Executed(done.stdout if not self._outside.garbled else HUGE, EVIL, done.code)

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        return HUGE

    def _seen(self, found: Object | None) -> Any:
        return None if found is None else self._outside.spoil(poisoned(found))

    def _fail(self, call: str) -> None:
        if call in self._outside.fails:
            raise self._outside.fails[call](f"{self.name}: {call}: {HUGE}", EVIL)


class HostileIstioctl:
    def __init__(self, real: Any, outside: Hostile) -> None:
        self._real = real
        self._outside = outside
        self.path = real.path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def install(self, cluster: Any, operator: str, overlays: Sequence[Path], *, say: Any, **more: Any) -> None:
        say(HUGE)
        self._real.install(cluster, operator, overlays, say=lambda text: say(f"{text}{EVIL}"), **more)
        if "install" in self._outside.fails:
            raise Failed(f"istioctl install: {HUGE}", EVIL)

    def remote_secret(self, cluster: Any, *, server: str) -> Object:
        if "remote_secret" in self._outside.fails:
            raise Failed(f"istioctl create-remote-secret: {HUGE}", EVIL)
        found: Object = self._real.remote_secret(cluster, server=server)
        return found


class Hostile(SimulatedOutside):
    """Fails the calls named in `fails` with that kind of trouble; `conflicts`: every write; `garbled`: what containers print;
    `spoil` changes every object that is read; `server`, `uid`: instead of, or after, the true ones.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(speed=0, **more)
        self.fails: dict[str, type[Failed]] = {}
        self.conflicts = False
        self.garbled = False
        self.server = ""
        self.uid = ""
        self.spoil: Callable[[Any], Any] = copy.copy
        self.found_mistakes: tuple[Mistake, ...] = ()

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return [
            replace(each, user=EVIL, credentials=HUGE, server=f"https://{EVIL}")
            for each in super().contexts(kubeconfigs)
        ]

    def facts(self, entry: ContextEntry) -> ContextFacts:
        self.machine(entry.context).load_balancer = True  # as is told below
        found = super().facts(entry)
        return replace(found, version=EVIL, istio=HUGE, load_balancer=EVIL, addresses=(*found.addresses, EVIL))

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        return self.found_mistakes

    def istioctls(self) -> list[IstioctlFound]:
        return [*super().istioctls(), IstioctlFound(f"/bin/{EVIL}", EVIL, HUGE)]

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        world = super().world(mesh, istioctl)
        clusters: dict[str, Cluster] = {name: HostileCluster(each, self) for name, each in world.clusters.items()}  # type: ignore[misc]
        tool: Any = HostileIstioctl(world.istioctl, self)
        return replace(world, clusters=clusters, istioctl=tool)


def owned(found: Any) -> Any:
    """Everything belongs to somebody of a hostile name."""
    metadata = found.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), "meshwizard/mesh": EVIL}
    return found


def waiting(found: Any) -> Any:
    """No pod runs, and the cluster says hostile things about why."""
    if found.get("kind") == "Pod":
        state = {"waiting": {"reason": "ImagePullBackOff", "message": HUGE}}
        statuses = [{"name": EVIL, "ready": False, "image": EVIL, "state": state, "restartCount": 3}]
        conditions = [{"type": "PodScheduled", "status": "False", "reason": EVIL, "message": HUGE}]
        found["status"] = {
            "phase": "Pending", "reason": EVIL, "message": EVIL, "containerStatuses": statuses, "conditions": conditions,
        }  # fmt: skip
    return found


def named(found: Any) -> Any:
    """Addresses and names of nodes, and data that are differences, are hostile."""
    if found.get("kind") == "Node":
        found["status"]["addresses"] = [
            {"type": "InternalIP", "address": EVIL},
            {"type": "ExternalIP", "address": HUGE},
        ]
        found["metadata"]["name"] = EVIL
    if found.get("kind") in ("ConfigMap", "Service", "Gateway"):
        for part in ("data", "spec"):
            if isinstance(found.get(part), dict):
                found[part] = {key: EVIL if isinstance(value, str) else value for key, value in found[part].items()}
    return found


def misshaped(value: Any) -> Callable[[Any], Any]:
    """What should be a document is something else."""

    def change(found: Any) -> Any:
        if found.get("kind") in ("ConfigMap", "Secret") and isinstance(found.get("data"), dict):
            text = value if isinstance(value, str) else json.dumps(value)
            coded = base64.b64encode(text.encode(errors="replace")).decode()
            found["data"] = dict.fromkeys(found["data"], coded if found["kind"] == "Secret" else text)
        return found

    return change


DENIED = NotAllowed
SHAPES = {
    "a list": [1, [2]], "a word": "word", "nothing": "", "a number": 7, "brackets": "[" * 200_000, "a date": "2001-99-99",
    "numbers": {"networks": [1], "spec": 5, "clusters": [{"cluster": {"server": 7}}], "users": [{"user": {"token": 9}}]},
    "no map": {"networks": "x", "spec": {"values": {"global": 7}}, "clusters": [7], "users": "x"},
    "no YAML": "a: b: c\n\t- }", "binary": "\x00\x01\ufffe",
}  # fmt: skip
