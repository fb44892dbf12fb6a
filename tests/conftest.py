"""What all tests share."""

from __future__ import annotations

import gc
import signal
from typing import Any

import pytest

import state.withheld

# Signals that are ignored stay ignored in children. `nohup` ignores one, a background job of a shell another; the tests send
# them all to programs they start, and those must hear them wherever the tests themselves run.
for _number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Modules and tests stay to the end: looking through them for garbage, again and again, took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's credentials are, another's texts may hold."""
    monkeypatch.setattr(state.withheld, "held", state.withheld.Withheld())


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Any:
    """What hostile texts a failure tells of can travel to the process that prints it: not every text has an encoding."""
    return _printable((yield))


def _printable(found: Any) -> Any:
    if isinstance(found, str):
        return found.encode(errors="backslashreplace").decode()
    if isinstance(found, dict):
        return {_printable(key): _printable(value) for key, value in found.items()}
    if isinstance(found, (list, tuple)):
        return type(found)(_printable(each) for each in found)
    return found
