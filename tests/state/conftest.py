from __future__ import annotations

from pathlib import Path

import pytest

from state import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder(tmp_path / "state", program="1.2.3")
