"""A real kube-apiserver with a real etcd as plain processes on the loopback: no root, no kubelet, up in seconds.

Several API servers share one etcd, each under a prefix of its own. `reset` puts the database back to how it was when the server
came up, which takes milliseconds; the server hears of it as of any other change.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.faults.client import Client
from tests.faults.keys import TOKENS, Keys
from tests.lab import audit, build, packages
from tests.lab.proc import LabError, wait_for
from tests.lab.settings import from_environment

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # a test run that is killed leaves no server behind
_BUSY = ("masterleases", "leases", "events", "apiregistration.k8s.io")  # what the server itself keeps writing


def programs() -> tuple[Path, Path]:
    """etcd and kube-apiserver, installed and built where they are missing."""
    settings = from_environment()
    packages.ensure_debian_packages(settings.cache)
    return Path(shutil.which("etcd") or "/usr/bin/etcd"), build.kubernetes(settings.cache) / "kube-apiserver"


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


Snapshot = dict[str, tuple[str, str]]  # key → (revision of its last change, value), as etcd gives them


class Process:
    """A program that runs until it is told to end; its output goes to a file."""

    def __init__(self, argv: Sequence[str | Path], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self._child = subprocess.Popen(
                [*DIES_WITH_US, *(str(word) for word in argv)],
                # There is memory enough, and time is short; several share a processor, and lose a fifth of it to idle threads.
                env={**os.environ, "GOGC": "400", "GOMAXPROCS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def alive(self) -> bool:
        return self._child.poll() is None

    def end(self) -> None:
        """Kill it; nothing of it is worth a graceful end."""
        self._child.kill()
        self._child.wait()


class Etcd:
    """The database of several API servers, in memory where this machine has a place for that."""

    def __init__(self, folder: Path) -> None:
        program, _ = programs()
        port, peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = Process(
            [
                program, "--name=default", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}", "--unsafe-no-fsync",
            ],
            folder / "etcd.log",
        )  # fmt: skip
        wait_for(f"etcd (see {self._process.log})", self._ready, timeout=60, every=0.05)

    def _ready(self) -> bool:
        try:
            self.ask("maintenance/status", {})
        except OSError:
            return False
        return True

    def ask(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        """One request to etcd's own HTTP gateway."""
        request = urllib.request.Request(f"{self.url}/v3/{what}", json.dumps(body).encode())  # noqa: S310
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def put(self, key: str, value: bytes) -> None:
        """Write behind the API servers' backs."""
        self.ask("kv/put", {"key": _b64(key.encode()), "value": base64.b64encode(value).decode()})

    def entries(self, prefix: str, *, keys_only: bool) -> Snapshot:
        """Key → (revision of its last change, value), all base64 where etcd has it so."""
        begin = prefix.encode()
        end = begin[:-1] + bytes([begin[-1] + 1])
        body = {"key": _b64(begin), "range_end": _b64(end), "keys_only": keys_only}
        found = self.ask("kv/range", body).get("kvs", [])
        return {each["key"]: (each["mod_revision"], each.get("value", "")) for each in found}

    def end(self) -> None:
        self._process.end()


class ControlPlane:
    """One API server. `url` and `ca` reach it; users come with the tokens in `tests.faults.keys`."""

    def __init__(self, name: str, etcd: Etcd, keys: Keys, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.ca = keys.ca
        self.audit_log = folder / f"{name}.audit"
        self._etcd = etcd
        self._prefix = f"/{name}/"
        self._port = free_port()
        self.url = f"https://127.0.0.1:{self._port}"
        policy = folder / "audit.yaml"
        policy.write_text(
            json.dumps(
                {
                    "apiVersion": "audit.k8s.io/v1",
                    "kind": "Policy",
                    "omitStages": ["RequestReceived", "ResponseStarted"],
                    "rules": [{"level": "None", "verbs": ["get", "list", "watch"]}, {"level": "Metadata"}],
                }
            )
        )
        _, program = programs()
        flags = {
            "advertise-address": "127.0.0.1",
            "allow-privileged": "true",
            "audit-log-path": self.audit_log,
            "audit-log-mode": "blocking-strict",
            "audit-policy-file": policy,
            "authorization-mode": "RBAC",
            "bind-address": "127.0.0.1",
            "cert-dir": folder / name,
            # Without a controller manager no namespace has an account; nobody here needs one.
            "disable-admission-plugins": "ServiceAccount",
            "enable-priority-and-fairness": "false",
            "etcd-prefix": f"/{name}",
            "etcd-servers": etcd.url,
            "kubelet-preferred-address-types": "InternalIP",
            "profiling": "false",
            "secure-port": self._port,
            "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
            "service-account-key-file": keys.accounts,
            "service-account-signing-key-file": keys.accounts,
            "service-cluster-ip-range": "10.96.0.0/16",
            "tls-cert-file": keys.certificate,
            "tls-private-key-file": keys.key,
            "token-auth-file": keys.tokens,
        }
        self._command = [program, *(f"--{k}={v}" for k, v in flags.items())]
        self.start()
        self.client = Client(self.url, self.ca, TOKENS["rig"], "rig")
        self._baseline: Snapshot = {}

    def start(self) -> None:
        """Start the API server: the first time, or again after `end`."""
        self._process = Process(self._command, self.folder / f"{self.name}.log")

    def wait(self) -> None:
        """Return when it is ready and what it makes by itself is there."""

        def ready() -> bool:
            if not self._process.alive():
                raise LabError(f"{self.name}: the API server died, see {self._process.log}")
            try:
                self.client.ask("GET", "/api/v1/namespaces/kube-system")
                self.client.ask("GET", "/api/v1/namespaces/default/services/kubernetes")
                self.client.ask("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
                self.client.ask("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")
            except Exception:
                return False
            return True

        wait_for(f"{self.name}: API server (see {self._process.log})", ready, timeout=120, every=0.1)

    def settle(self) -> None:
        """Take what stands now as the baseline that `reset` goes back to."""
        self._baseline = self.snapshot()

    def snapshot(self) -> Snapshot:
        """All that stands now, for `reset` to go back to."""
        return self._etcd.entries(self._prefix, keys_only=False)

    def reset(self, to: Snapshot | None = None) -> None:
        """Bring the database back to a snapshot, or to the baseline. The snapshot stays good for that."""
        wanted = self._baseline if to is None else to
        found = self._etcd.entries(self._prefix, keys_only=True)
        changes = []
        for key in found.keys() - wanted.keys():
            if not _busy(key):
                changes.append({"requestDeleteRange": {"key": key}})
        for key, (revision, value) in wanted.items():
            if not _busy(key) and found.get(key, ("", ""))[0] != revision:
                changes.append({"requestPut": {"key": key, "value": value}})
        for start in range(0, len(changes), 100):  # etcd takes 128 at most
            self._etcd.ask("kv/txn", {"success": changes[start : start + 100]})
        if any("requestPut" in change for change in changes):
            # What was put back counts as unchanged from now on.
            for key, (revision, _) in self._etcd.entries(self._prefix, keys_only=True).items():
                if key in wanted:
                    wanted[key] = (revision, wanted[key][1])

    def mark(self) -> int:
        """A marker for `entries`: from here on."""
        return audit.mark(self.audit_log)

    def entries(self, marker: int) -> list[dict[str, Any]]:
        """What is in the audit log since the marker."""
        with self.audit_log.open("rb") as log:
            log.seek(marker)
            return [json.loads(line) for line in log.read().rpartition(b"\n")[0].splitlines()]

    def end(self) -> None:
        self._process.end()


@contextmanager
def alone(folder: Path) -> Iterator[tuple[ControlPlane, Etcd, Keys]]:
    """One API server, `cluster1`, ready, with an etcd and keys of its own; it ends with the block."""
    keys = Keys(folder / "keys")
    with ExitStack() as last:
        etcd = Etcd(folder)
        last.callback(etcd.end)
        plane = ControlPlane("cluster1", etcd, keys, folder)
        last.callback(plane.end)
        plane.wait()
        yield plane, etcd, keys


def _busy(key: str) -> bool:
    path = base64.b64decode(key).decode(errors="replace")
    return any(f"/{part}/" in path for part in _BUSY) and "meshwizard" not in path


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
