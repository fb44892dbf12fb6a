"""Starts the stand-in istioctl without paying for its imports: a small program hands its arguments and streams to a warm process,
which forks. The program lives until that fork has ended, and the fork does not outlive the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.faults.controlplane import DIES_WITH_US
from tests.faults.zygote import ROOT

_PASSED = ("FAULTS_ISTIOCTL", "KUBECONFIG")  # of its environment, what the stand-in looks at

# Started without site-packages and with nothing but built-in modules: a few milliseconds.
_PROGRAM = """#!{python} -IS
import _socket, os, sys
place = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
place.connect({path!r})
told = repr((sys.argv[1:], {{name: os.environ.get(name, "") for name in {passed!r}}})).encode()
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
place.sendmsg([told], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
for stream in (0, 1, 2):
    os.close(stream)
code = place.recv(16)
os._exit(int(code) if code else 1)
"""


def serve(program: Path) -> Callable[[], None]:
    """Write the program there and start what serves it; gives what ends it."""
    path = program.with_suffix(".socket")
    server = subprocess.Popen(
        [*DIES_WITH_US, sys.executable, "-m", "tests.faults.launcher", str(path)], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert server.stdin and server.stdout
    assert server.stdout.readline() == b"ready\n"
    program.write_text(_PROGRAM.format(python=sys.executable, path=str(path), passed=_PASSED))
    program.chmod(0o755)

    def end() -> None:
        server.kill()
        server.wait()

    return end


def _main(path: str) -> None:
    from tests.faults import istioctl

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a fork ended but its program
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen(64)
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        told, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        if os.fork() == 0:
            listening.close()
            for target, source in enumerate(streams):
                os.dup2(source, target)
                os.close(source)
            _become(connection, told, istioctl.main)
        connection.close()
        for stream in streams:
            os.close(stream)


def _become(connection: socket.socket, told: bytes, main: Callable[[], None]) -> None:
    """Be the istioctl; never returns."""
    import ast

    arguments, environment = ast.literal_eval(told.decode())
    sys.argv = ["istioctl", *arguments]
    os.environ.update(environment)
    threading.Thread(target=_follow, args=(connection,), daemon=True).start()
    code = 0
    try:
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1 if left.code else 0
        if isinstance(left.code, str):
            sys.stderr.write(f"{left.code}\n")
    except BaseException as error:
        sys.stderr.write(f"Error: {json.dumps(str(error))}\n")
        code = 1
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    for stream in (0, 1, 2):
        os.close(stream)
    with contextlib.suppress(OSError):
        connection.sendall(str(code).encode())
    os._exit(code)


def _follow(connection: socket.socket) -> None:
    """End when the program ends."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    _main(sys.argv[1])
