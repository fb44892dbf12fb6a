"""The wizard as a user runs it: the installed command, in a home of its own, over the lab's clusters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab import audit
from tests.lab.lab import Lab

COMMAND = Path(sys.executable).with_name("meshwizard")
APPLY_SECONDS = 420


@dataclass(frozen=True)
class Ran:
    """How a command ended. `text`: stdout and stderr, for messages."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return f"exit {self.code}\n{self.stdout}\n{self.stderr}"

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class Wizard:
    """One user's meshwizard: home, state folder and mesh file below `home`."""

    lab: Lab
    home: Path
    name: str = "mesh1"
    kubeconfig: Path | None = None
    changes: Callable[[dict[str, Any]], None] = field(default=lambda document: None)

    def __post_init__(self) -> None:
        self.state = self.home / "state"
        self.log = self.home / "log.jsonl"
        self.meshfile = self.home / "mesh.yaml"
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        document = self.document()
        self.changes(document)
        self.meshfile.write_text(yaml.safe_dump(document, sort_keys=False))

    def document(self) -> dict[str, Any]:
        """The mesh file of two clusters, with all that can be found left out."""
        return {
            "apiVersion": "meshwizard/v1",
            "kind": "Mesh",
            "name": self.name,
            "istio": {"overlays": [str(self.lab.overlay)]},
            "clusters": [
                {
                    "name": cluster.name,
                    "kubeconfig": str(self.kubeconfig or self.lab.kubeconfig),
                    "context": cluster.name,
                    "network": f"network{index}",
                }
                for index, cluster in enumerate(self.lab.clusters, 1)
            ],
        }

    @property
    def environment(self) -> dict[str, str]:
        """A home of its own, and the lab's istioctl and kubectl first on the PATH."""
        path = f"{self.lab.istioctl.parent}:{self.lab.kubectl.parent}:{os.environ['PATH']}"
        kept = {key: os.environ[key] for key in ("LANG", "TERM") if key in os.environ}
        return {**kept, "PATH": path, "HOME": str(self.home), "TMPDIR": str(self.home / "tmp")}

    def argv(self, *words: str) -> list[str]:
        return [str(COMMAND), *words, "--state-dir", str(self.state), "--log", str(self.log)]

    def run(self, *words: str, seconds: float = APPLY_SECONDS) -> Ran:
        """Run a command to its end, without a terminal."""
        done = subprocess.run(
            self.argv(*words), env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=seconds, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def shell(self, command: str, seconds: float = APPLY_SECONDS) -> Ran:
        """Run a command that the wizard printed, as a person would paste it."""
        words = command.split()
        assert words[0] == "meshwizard", command
        done = subprocess.run(
            [str(COMMAND), *words[1:]], env=self.environment, cwd=self.home, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> Running:
        """Start a command in the background."""
        return Running(self, words)

    def apply(self) -> Ran:
        return self.run("apply", "-f", str(self.meshfile))


class Running:
    """A command under way, whose events (`--json`) are read as they come."""

    def __init__(self, wizard: Wizard, words: tuple[str, ...]) -> None:
        self.events: list[dict[str, Any]] = []
        self.out = wizard.home / f"out-{time.time_ns()}"
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                wizard.argv(*words), env=wizard.environment, cwd=wizard.home, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def until(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 120) -> dict[str, Any]:
        """The first event that fits."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for event in self.read():
                if condition(event):
                    return event
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"no such event; it said:\n{self.out.read_text()[-4000:]}")

    def read(self) -> list[dict[str, Any]]:
        """Every event so far."""
        lines = self.out.read_text().splitlines()
        found = []
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = APPLY_SECONDS) -> Ran:
        code = self.process.wait(seconds)
        return Ran(code, self.out.read_text(), "")


def is_step(step: str, status: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an event says that this step took this status."""
    return lambda event: (
        event.get("event") == "stepchanged" and event.get("step") == step and event.get("status") == status
    )


def statuses(events: list[dict[str, Any]]) -> dict[str, str]:
    """The last status of every step."""
    return {event["step"]: event["status"] for event in events if event.get("event") == "stepchanged"}


def answers(wizard: Wizard) -> dict[str, dict[str, int]]:
    """What each cluster hears: version → answers."""
    ran = wizard.run("verify", "--json")
    assert ran.code == 0, ran.text
    heard = {name: told["counts"] for name, told in ran.json["clusters"].items()}
    return {name: {version: count for version, count in counts.items() if count} for name, counts in heard.items()}


def assert_verified(wizard: Wizard) -> None:
    """Traffic: every cluster of the lab hears every version."""
    versions = {f"v{index}" for index, _ in enumerate(wizard.lab.clusters, 1)}
    heard = {name: set(counts) for name, counts in answers(wizard).items()}
    assert heard == {cluster.name: versions for cluster in wizard.lab.clusters}


def assert_as_before(lab: Lab, before: list[dict[str, str]]) -> None:
    """The clusters hold the objects that they held then, none more and none made anew. `before`: `snapshot_objects` of each."""
    for cluster, then in zip(lab.clusters, before, strict=True):
        now = cluster.snapshot_objects()
        assert not set(now) - set(then), f"{cluster.name} still holds {sorted(set(now) - set(then))}"
        assert not set(then) - set(now), f"{cluster.name} lost {sorted(set(then) - set(now))}"
        anew = [key for key in now if now[key] != then[key]]
        assert not anew, f"{cluster.name}: made anew: {anew}"


def assert_untouched(lab: Lab, marks: list[int]) -> None:
    """Nobody asked the clusters for a change since those marks of their audit logs."""
    for cluster, mark in zip(lab.clusters, marks, strict=True):
        assert [audit.describe(entry) for entry in cluster.mutations(mark)] == []
