"""No secret leaves its place: planted ones are looked for in argv, environments, state, log, events and temporary files."""

from __future__ import annotations

import base64
import re
import threading
from pathlib import Path

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.wizard import Wizard

pytestmark = pytest.mark.proves(
    "Secrets of kubeconfigs are found nowhere: argv, environment, state, log, events, temporary files"
)
KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
TOKEN = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")


class Watcher:
    """Copies the argv and environment of every process, again and again, while it watches."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            for entry in Path("/proc").iterdir():
                if not entry.name.isdecimal():
                    continue
                try:
                    argv = (entry / "cmdline").read_bytes()
                    if b"meshwizard" in argv or b"istioctl" in argv:
                        self.seen |= {argv, (entry / "environ").read_bytes()}
                except OSError:
                    continue


def needles(lab: Lab, home: Path) -> dict[str, bytes]:
    """Every secret that the run touches: the kubeconfig's, the clusters', the root key's."""
    found: dict[str, bytes] = {}
    for user in yaml.safe_load(lab.kubeconfig.read_text())["users"]:
        encoded = user["user"]["client-key-data"]
        found[f"key of {user['name']}"] = base64.b64decode(encoded).splitlines()[1]
        found[f"encoded key of {user['name']}"] = encoded[100:160].encode()
    for cluster in lab.clusters:
        secrets = yaml.safe_load(cluster.kubectl("get", "secrets", "-n", "istio-system", "-o", "yaml"))["items"]
        for secret in secrets:
            for key, value in (secret.get("data") or {}).items():
                plain = base64.b64decode(value)
                if key == "token":
                    found[f"{cluster.name} token"] = plain.rpartition(b".")[2]
                if key == "ca-key.pem":
                    found[f"{cluster.name} intermediate key"] = plain.splitlines()[1]
    (key_file,) = home.rglob("root-key.pem")
    found["root key"] = key_file.read_bytes().splitlines()[1]
    assert len(found) >= 8, found.keys()
    return found


@pytest.mark.core
@pytest.mark.promise(9)
def test_no_secret_in_argv_state_log_or_events(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    with Watcher() as watcher:
        ran = wizard.run("apply", "-f", str(wizard.meshfile), "--json", "-v")
        again = wizard.run("status", "-v")
    assert ran.code == 0, ran.text
    places = {
        "argv and environments": b"\n".join(watcher.seen),
        "events": ran.stdout.encode() + ran.stderr.encode(),
        "status": again.stdout.encode() + again.stderr.encode(),
    }
    for file in tmp_path.rglob("*"):
        if file.is_file() and file.name != "root-key.pem":
            places[str(file)] = file.read_bytes()
    assert any(b"istioctl" in seen for seen in watcher.seen), "no process was watched"
    assert any(name.endswith("state.json") for name in places)
    assert str(wizard.log) in places
    for what, secret in needles(fresh_lab, tmp_path).items():
        for place, content in places.items():
            assert secret not in content, f"{what} in {place}"
    for place, content in places.items():
        assert not KEY.search(content), place
        assert not TOKEN.search(content), place
    assert list((tmp_path / "tmp").iterdir()) == []
    (key_file,) = tmp_path.rglob("root-key.pem")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.parent.stat().st_mode & 0o777 == 0o700
