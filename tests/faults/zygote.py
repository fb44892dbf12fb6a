"""Starts wizards as processes of their own without paying for their imports each time: a warm process forks.

A wizard so started may be told to die: SIGKILL to itself at its N-th state write, or at the start or the end of its N-th child.
What else kills it comes from outside. The zygote itself has one thread, so that a fork is safe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Death:
    """SIGKILL at the N-th (from 1) `state` write, `spawn` of a child or `exit` of one, before or after it took effect."""

    kind: str
    number: int
    after: bool


@dataclass(frozen=True)
class Ended:
    """How a wizard ended. `code` is negative where a signal ended it; `text` is what it wrote, stdout and stderr."""

    code: int
    text: str


class Wizard:
    """One wizard under way; it leads a session of its own."""

    def __init__(self, zygote: Zygote, pid: int, out: Path) -> None:
        self.pid = pid
        self._zygote = zygote
        self._out = out

    def kill(self) -> None:
        """SIGKILL to the wizard alone: its children live on."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> Ended:
        code = self._zygote.ask({"wait": self.pid})["code"]
        return Ended(code, self._out.read_text(errors="replace"))


class Zygote:
    """The warm process. One caller at a time."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1,
        )  # fmt: skip

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], home: Path, death: Death | None = None
    ) -> Wizard:
        """Start `meshwizard ARGUMENTS`."""
        out = home / "out"
        order = {"arguments": list(arguments), "environment": dict(environment), "home": str(home), "out": str(out)}
        return Wizard(self, self.ask({**order, "death": asdict(death) if death else None})["pid"], out)

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin and self._child.stdout
        self._child.stdin.write(json.dumps(order) + "\n")
        told: dict[str, Any] = json.loads(self._child.stdout.readline())
        return told

    def end(self) -> None:
        assert self._child.stdin
        self._child.stdin.close()
        self._child.wait()


def _serve() -> None:
    _warm()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _become(order)
        print(json.dumps({"pid": pid}), flush=True)


def _warm() -> None:
    """Import what a run imports; nothing of it may start a thread."""
    import kubernetes.client
    import kubernetes.config.kube_config
    import kubernetes.stream.ws_client
    import websocket

    import wizard.commands.apply
    import wizard.commands.main
    import wizard.commands.resume
    import wizard.console.working
    import wizard.operations.working
    import wizard.real

    _ = (kubernetes, websocket, wizard)


def _become(order: dict[str, Any]) -> None:
    """Turn this fork into the wizard; never returns."""
    os.setsid()
    os.chdir(order["home"])
    out = os.open(order["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, out), (2, out)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.umask(0o022)
    if order["death"]:
        _doom(Death(**order["death"]))
    from wizard.commands.main import run

    code = run(order["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _doom(death: Death) -> None:
    """Have this process kill itself where it is told."""
    count = 0

    def passing(after: bool) -> None:
        if after == death.after and count == death.number:
            os.kill(os.getpid(), signal.SIGKILL)

    if death.kind == "state":
        import state.files

        replace = state.files.Directory.replace

        def replaced(*arguments: Any) -> None:
            nonlocal count
            count += 1
            passing(False)
            replace(*arguments)
            passing(True)

        state.files.Directory.replace = replaced  # type: ignore[method-assign]
        return

    class Doomed(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **rest: Any) -> None:
            nonlocal count
            if death.kind == "spawn":
                count += 1
                passing(False)
            super().__init__(*arguments, **rest)
            if death.kind == "spawn":
                passing(True)

        def wait(self, timeout: float | None = None) -> int:
            nonlocal count
            known = self.returncode
            code = super().wait(timeout)
            if death.kind == "exit" and known is None:
                count += 1
                passing(False)
                passing(True)
            return code

    subprocess.Popen = Doomed  # type: ignore[misc]


if __name__ == "__main__":
    _serve()
