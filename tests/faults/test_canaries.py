"""Planted secrets are found nowhere: not in what is left behind, not in the arguments or environment of any process."""

from __future__ import annotations

import base64
import json
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.faults.keys import TOKENS
from tests.faults.proxy import Answer, Request
from tests.faults.rig import MESH, Rig, Shape


class Watch:
    """Copies the arguments and environments of the wizards and istioctls of a rig, again and again."""

    def __init__(self, rig: Rig) -> None:
        self.seen: dict[str, bytes] = {}
        self._rig = rig
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, bytes]:
        self._end.set()
        self._thread.join()
        return self.seen

    def _watch(self) -> None:
        place = str(self._rig.home).encode()
        while not self._end.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    argv, environ = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                except OSError:
                    continue
                if place in environ or b"istioctl" in argv:
                    self.seen[f"argv {argv[-80:]!r}"] = argv
                    self.seen[f"environ of {process.name}"] = environ


@pytest.mark.promise(9)
@pytest.mark.inputs("S6")
@pytest.mark.parametrize(
    "shape", [pytest.param(Shape(2, "multi-primary"), marks=pytest.mark.core), Shape(2, "primary-remote")], ids=str
)
def test_nothing_planted_is_found_after_any_kind_of_end(rig: Rig, shape: Shape) -> None:
    rig.fresh(shape)
    watch = Watch(rig)
    told = []

    def forbidden(request: Request) -> Answer | None:
        # The API server's sentence itself may carry one: it is redacted, too.
        token = TOKENS["person"]
        pair = base64.b64encode(f"me:{token}".encode()).decode()
        said = (
            f"no: Bearer {token} is not enough, nor {token}, {json.dumps(token)}, https://me:{token}@here, Basic {pair}"
        )
        body = json.dumps({"message": said}).encode()
        return Answer(403, body) if request.mutating and "cacerts" in request.path else None

    for proxy in rig.proxies:
        proxy.rule = forbidden
    told.append(rig.run("apply", "-f", str(rig.meshfile), "--json", "-v"))
    assert told[-1].code == 1, told[-1].text
    for proxy in rig.proxies:
        proxy.rule = None
    wizard = rig.start("resume", "-v")
    time.sleep(0.7)
    wizard.kill()
    assert wizard.wait().code == -signal.SIGKILL
    for words in (("resume", "-v"), ("status", MESH, "--json", "-v"), ("verify", MESH, "-v")):
        told.append(rig.run(*words))
        while told[-1].code == 5:  # an orphan of the one that was killed
            time.sleep(0.1)
            told.append(rig.run(*words))
        assert told[-1].code == 0, told[-1].text
    told.append(rig.run("export", "-f", str(rig.meshfile), "--as", "runbook"))
    seen = watch.end()
    assert any(b"create-remote-secret" in content for content in seen.values()), "no process was watched"
    said = {f"output {number}": ended.text.encode() for number, ended in enumerate(told)}
    assert rig.leaks({**seen, **said}) == []
    assert (rig.home / "log").stat().st_size > 1000
