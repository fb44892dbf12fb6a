"""Six hundred contexts with inline certificates: the CPU of all that comes before the first request to each, without their TLS
contexts, against that of parsing the file once.

`python -m tests.bench.contexts` prints a line; 1 where it is more than it may be, or a context that answers is shown
as one that does not. The API server runs in a process of its own.
"""

from __future__ import annotations

import base64
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import yaml

from tests.unit.api_fakes import Said, api, pair
from wizard.clusters.patience import HURRIED
from wizard.clusters.real import RealCluster
from wizard.clusters.wire import tls_context
from wizard.plain.contexts import look
from wizard.real import RealOutside

CONTEXTS = 600
REACH = 3.0
TIMES = 5  # how often; the medians count
SETTLED = 2.1  # seconds after which a file is known by its time


def cpu(work: Callable[[], object]) -> float:
    """Seconds of this process's processors."""
    began = time.process_time()
    work()
    return time.process_time() - began


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of an API server that lets everybody do everything; its authority is in the folder."""
    command = [sys.executable, "-m", "tests.bench.contexts", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.stdout.readline().strip() if child.stdout else ""
        finally:
            child.kill()


def serve(folder: Path) -> int:
    """That server, until nobody holds its input any more."""
    with api(folder) as made:
        body = {
            "metadata": {"name": "one", "uid": "1", "resourceVersion": "1"},
            "status": {"allowed": True},
            "items": [],
        }
        made.react = lambda _: Said(body=body)
        (folder / "ca.crt").write_bytes(made.authority.pem)
        sys.stdout.write(f"{made.url}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


def written(path: Path, url: str, count: int) -> Path:
    """A kubeconfig of that many contexts, each with a cluster and a user of its own."""
    mine = pair("me")
    authority, certificate, key = (
        base64.b64encode(part).decode() for part in ((path.parent / "ca.crt").read_bytes(), mine.pem * 2, mine.key_pem)
    )
    clusters, users, contexts = [], [], []
    for number in range(count):
        clusters.append({"name": f"c{number}", "cluster": {"server": url, "certificate-authority-data": authority}})
        given = {"client-certificate-data": certificate, "client-key-data": key}
        users.append({"name": f"u{number}", "user": given})
        contexts.append({"name": f"x{number}", "context": {"cluster": f"c{number}", "user": f"u{number}"}})
    path.write_text(yaml.safe_dump({"clusters": clusters, "users": users, "contexts": contexts}))
    return path


def main() -> int:
    """Print the line."""
    outside = RealOutside()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as url:
        folder = Path(name)
        look(outside, outside.contexts([written(folder / "few", url, 2)]))  # loads the libraries
        once, ours = [], []
        trusting = tls_context(verify=True)
        for number in range(TIMES):
            path = written(folder / f"many{number}", url, CONTEXTS)
            time.sleep(SETTLED)
            raw = path.read_bytes()
            once.append(cpu(lambda: yaml.load(raw, Loader=loader)))  # noqa: B023, S506
            with mock.patch("wizard.clusters.login.tls_of", lambda *_: trusting):  # part of what a connection costs
                ours.append(cpu(lambda: _known(outside, path)))  # noqa: B023
        entries = outside.contexts([path])
        dead = [facts.problem for facts in look(outside, entries) if not facts.reachable]
    whole, parsed = statistics.median(ours), statistics.median(once)
    verdict = "reached" if whole / parsed <= REACH and not dead else "NOT reached"
    said = f"{CONTEXTS} contexts listed and logged in {whole:.2f} s of CPU, parsed once {parsed:.2f} s"
    sys.stdout.write(f"{said}, ratio {whole / parsed:.2f} (≤ {REACH}: {verdict}); shown dead: {len(dead)} {dead[:1]}\n")
    return int(verdict != "reached")


def _known(outside: RealOutside, path: Path) -> None:
    """All that is done on this machine before the first request to each."""
    for entry in outside.contexts([path]):
        RealCluster(entry.context, entry.kubeconfig, entry.context, HURRIED).log_in()


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1])) if len(sys.argv) > 1 else main())
