"""Nothing but our own sentences reaches the terminal, whatever libraries have to say."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.inputs("48")

WARNS = """
import sys, warnings
import wizard.commands.main
from wizard.__main__ import main

def run(arguments):
    from urllib3.exceptions import InsecureRequestWarning
    for kind in (InsecureRequestWarning, FutureWarning, DeprecationWarning, UserWarning, RuntimeWarning):
        warnings.warn("a library's own words", kind)
    print("ours")
    return 0

wizard.commands.main.run = run
main()
"""
ASKS = """
from wizard.plain.prompts import Prompts
print("answer:", Prompts(print).text("Name", default="a", hint="", check=lambda _: None))
"""


def test_warnings_of_libraries_are_not_shown() -> None:
    ran = subprocess.run([sys.executable, "-c", WARNS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("ours\n", "")


def test_a_developer_who_asks_for_warnings_sees_them() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "default", "-c", WARNS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "a library's own words" in ran.stderr


def test_a_terminal_that_does_not_tell_its_cursor_is_not_asked() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKS], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    seen, typed, deadline = b"", False, time.monotonic() + 60
    with suppress(OSError):  # how a terminal says that nobody writes any more
        while chunk := os.read(ours, 4096):
            assert time.monotonic() < deadline, seen
            seen += chunk
            if b"Name" in seen and not typed:
                typed = os.write(ours, b"b\r") > 0
    os.close(ours)
    assert asking.wait(60) == 0, seen
    assert b"answer: " in seen
    assert b"\x1b[6n" not in seen
    assert b"CPR" not in seen
