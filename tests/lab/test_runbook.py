"""The exported runbook, run by bash as a person would, gives a verified mesh; and the wizard takes that mesh for its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.test_topologies import multi_primary, primary_remote
from tests.lab.wizard import Wizard

pytestmark = pytest.mark.proves("The exported runbook, run by bash, gives a verified mesh")


@pytest.mark.parametrize("changes", [multi_primary, primary_remote])
def test_the_runbook_gives_a_verified_mesh(
    fresh_lab: Lab, tmp_path: Path, changes: Callable[[dict[str, Any]], None]
) -> None:
    wizard = Wizard(fresh_lab, tmp_path, changes=changes)
    exported = wizard.run("export", "-f", str(wizard.meshfile), "--as", "runbook")
    assert exported.code == 0, exported.text
    script = tmp_path / "runbook.sh"
    script.write_text(exported.stdout)
    folder = tmp_path / "run"
    folder.mkdir()
    done = subprocess.run(
        ["bash", str(script)], cwd=folder, env=wizard.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for cluster in ("cluster1", "cluster2"):
        for version in ("v1", "v2"):
            assert f"Hello version: {version}," in done.stdout, cluster
    checked = wizard.run("check", "-f", str(wizard.meshfile))
    assert checked.code == 0, checked.text
