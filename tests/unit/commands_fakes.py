"""A toy outside for the command line's tests: steps that behave as they are told, in this process or in a child."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wizard.answered import Answered
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Kind, Needed, Plan, Probe, Step
from wizard.errors import Failed, Mistake, Unreachable, VerificationFailed
from wizard.mesh.model import Mesh
from wizard.outside import ContextEntry, ContextFacts, IstioctlFound
from wizard.world import World

MESH = """\
apiVersion: meshwizard/v1
kind: Mesh
name: mesh1
clusters:
- {name: cluster1, context: admin1@one, network: network1}
- {name: cluster2, context: admin2@two, network: network2}
"""


class Toy(Step):
    """Behaviours: works, done, conflict, dark (probe fails), fails, slow (until drained or aborted), silent (no answers), chatty
    (says more than a pipe holds), endless (chatty, then slow), lasting, stuck (for a minute).
    """

    def __init__(self, id: str, behaviour: str = "works", needs: tuple[str, ...] = ()) -> None:
        cluster, _, what = id.rpartition("/")
        self.kind = Kind(what)
        super().__init__(f"Toy {what}", cluster=cluster or None, needs=needs)
        self.behaviour = behaviour
        self.made = behaviour == "done"

    def probe(self, world: World) -> Probe:
        if self.made:
            return Done("as wanted")
        if self.behaviour == "conflict":
            return Conflict("ConfigMap toy belongs to somebody\x1b[31m", "Ask them.")
        if self.behaviour == "dark":
            raise Unreachable("cluster1 does not answer", "Is it on?")
        return Needed((Difference("ConfigMap toy", "data.x", None, "1", by=""),))

    def apply(self, world: World, job: Job) -> None:
        job.say("working on it")
        if self.behaviour == "fails":
            raise Failed("the toy broke", "Mend it.")
        if self.behaviour == "silent":
            heard = {"v1": 3}
            job.tell(
                Answered(step=self.id, cluster="cluster1", counts=heard, missing=("v2",), errors=1, last="no answer")
            )
            raise VerificationFailed("cluster1 does not hear v2", "Look at the gateway.")
        if self.behaviour in ("chatty", "endless"):
            for number in range(1000):
                job.say(f"{number}: {'word ' * 50}")
        if self.behaviour in ("slow", "endless"):
            job.wait("the slow toy", lambda: (None, "nothing yet"), seconds=60, every=0.02)
        if self.behaviour == "lasting":  # cannot be interrupted, and ends by itself
            threading.Event().wait(1.0)
        if self.behaviour == "stuck":
            threading.Event().wait(60.0)
        self.made = True

    def undo(self, world: World, job: Job) -> None:
        self.made = False

    def commands(self) -> list[Command]:
        return [Command(f"kubectl apply {self.id}", "because")]


class ToyCluster:
    """Holds a Lease for whoever asks, and nothing else."""

    verified = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, ref: Any) -> None:
        return None

    def objects(self, kind: Any, namespace: str = "", labels: str = "") -> list[Any]:
        return []

    def create(self, manifest: Any) -> Any:
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "1", "resourceVersion": "1"}}

    replace = create

    def delete(self, ref: Any, *, uid: str = "", version: str = "") -> bool:
        return True

    def close(self) -> None: ...


class ToyOutside:
    """Two contexts, or as many as told, and an istioctl."""

    simulated = True

    def __init__(self, contexts: int = 2, same: bool = False) -> None:
        self.entries = [
            ContextEntry(f"admin{n}@k", Path("/toy/config"), f"https://10.0.0.{n}:6443", f"admin{n}", "token", n == 1)
            for n in range(1, contexts + 1)
        ]
        self.same = same
        self.dark: set[str] = set()

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        return self.entries

    def facts(self, entry: ContextEntry) -> ContextFacts:
        if entry.context in self.dark:
            return ContextFacts(False, "it does not answer; is it on?")
        return ContextFacts(True, uid="one" if self.same else entry.context, version="v1.34.4", nodes=1, ready_nodes=1)

    def mistakes(self, mesh: Mesh, *, looking: bool = False) -> tuple[Mistake, ...]:
        return ()

    def istioctls(self) -> list[IstioctlFound]:
        return [IstioctlFound("/toy/istioctl", "1.29.1")]

    def world(self, mesh: Mesh, istioctl: str | None = None) -> World:
        clusters: Any = {cluster.name: ToyCluster(cluster.name) for cluster in mesh.clusters}
        toy: Any = SimpleNamespace(path="/toy/istioctl", version=lambda: "1.29.1")
        roots: Any = SimpleNamespace(place="/toy/root-key", load=lambda: None, obstacle=lambda: None)
        return World(clusters, toy, roots, simulated=True)


def put_in_place(
    steps: list[Step],
    outside: ToyOutside | None = None,
    put: Callable[[str, str, object], None] | None = None,
) -> None:
    """Let every session plan just these steps on the toy outside. `put(module, name, value)` replaces an attribute."""

    def directly(module: str, name: str, value: object) -> None:
        setattr(importlib.import_module(module), name, value)

    put = put or directly
    toy = outside or ToyOutside()
    put("wizard.console.settings", "outside_of", lambda settings: toy)
    put("wizard.operations.prepared", "plan_of", lambda mesh, version_step: Plan(tuple(steps)))
    put("wizard.operations.prepared", "resolve", lambda mesh, world, wished, **_: mesh)
    put("wizard.operations.prepared", "identities", lambda mesh, world, **_: {})
    put("wizard.operations.prepared", "check_istioctl", lambda mesh, world: "1.29.1")


def child(arguments: list[str], **behaviours: str) -> None:
    """The command line with toy steps of these behaviours in cluster1; ends the process as the console entry does."""
    from wizard.__main__ import main

    put_in_place([Toy(f"cluster1/{name}", behaviour) for name, behaviour in behaviours.items()])
    sys.argv = ["meshwizard", *arguments]
    main()
