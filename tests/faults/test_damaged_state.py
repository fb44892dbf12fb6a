"""The state file of a four-cluster mesh, cut off anywhere, and with any byte wrong: noticed, and never taken for nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import wizard.console.settings
from state import MeshState, StateDamaged, StateFolder, StateTooNew
from wizard.clusters.kinds import EVENT, KINDS, LEASE, ref_of
from wizard.commands.main import run
from wizard.simulated.outside import SimulatedOutside

MESH = "mesh1"
PARTS = 16
FILE = "state.json"
FEW = 2  # damages of each kind with which whole commands are run, times PARTS

pytestmark = pytest.mark.promise(4, 16)
_PARTS = [pytest.param(part, marks=[pytest.mark.core] if part == 0 else []) for part in range(PARTS)]


@dataclass
class Installed:
    """A finished mesh, and a copy of what is remembered of it."""

    outside: SimulatedOutside
    state: Path
    kept: Path

    @property
    def file(self) -> Path:
        return self.state / MESH / FILE

    def restore(self) -> None:
        shutil.rmtree(self.state)
        shutil.copytree(self.kept, self.state)

    def keep(self, older: int) -> None:
        """So many older generations are left."""
        for number in range(older + 1, 10):
            self.file.with_suffix(f".json.{number}").unlink(missing_ok=True)

    def standing(self) -> dict[str, str]:
        """Every object's version. Leases and Events come and go."""
        return {
            f"{number}: {ref_of(live)}": live["metadata"]["resourceVersion"]
            for number, machine in enumerate(self.outside.machines)
            for kind in KINDS
            if kind not in (LEASE, EVENT)
            for live in machine.listed(kind)
        }


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    place = tmp_path_factory.mktemp("damaged")
    outside = SimulatedOutside(clusters=4, speed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)
        clusters = [
            {"name": f"cluster{number}", "context": each.context, "network": f"network{number}"}
            for number, each in enumerate(outside.contexts(), 1)
        ]
        file = place / "mesh.yaml"
        file.write_text(json.dumps({"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": MESH, "clusters": clusters}))
        state = place / "state"
        assert run(["--state-dir", str(state), "apply", "-f", str(file)]) == 0
        shutil.copytree(state, place / "kept")
        yield Installed(outside, state, place / "kept")


def flipped(whole: bytes, position: int) -> bytes:
    """With one byte wrong: another bit each time."""
    return whole[:position] + bytes([whole[position] ^ 1 << position % 8]) + whole[position + 1 :]


def damages(whole: bytes, first: int = 0, step: int = 1) -> Iterator[tuple[str, bytes]]:
    for position in range(first, len(whole) - 1, step):  # without its last newline it is whole
        yield f"cut off after {position}", whole[:position]
        yield f"byte {position} wrong", flipped(whole, position)


@pytest.mark.parametrize("older", [True, False], ids=["older-left", "alone"])
@pytest.mark.parametrize("part", _PARTS)
def test_cut_off_anywhere_or_with_any_byte_wrong_it_is_noticed(
    installed: Installed, part: int, older: bool, record_property: Callable[[str, object], None]
) -> None:
    installed.restore()
    folder = StateFolder(installed.state)
    good, whole = folder.read(MESH), installed.file.read_bytes()
    assert good is not None
    installed.keep(int(older))
    met = 0
    for what, data in damages(whole, part, PARTS):
        installed.file.write_bytes(data)
        assert _believed(folder, good, older), what
        met += 1
    which = f"every {PARTS}. from the first" if part == 0 else "the others"
    record_property(f"count:damages of the state file of four clusters, {which}", met)


def _believed(folder: StateFolder, good: MeshState, older: bool) -> bool:
    """Whether what is read is the same (white space, the case of an escape), or the generation before; or it is refused."""
    try:
        state = folder.read(MESH)
    except StateDamaged:
        return not older
    except StateTooNew:
        return True  # the first digit, which is all that says so
    return state is not None and (
        state == good or (older and good.lineage == state.lineage and state.serial < good.serial)
    )


@pytest.mark.parametrize("part", _PARTS)
def test_with_all_generations_damaged_every_command_finds_what_stands(
    installed: Installed, tmp_path: Path, part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = installed.state.parent / "mesh.yaml"
    installed.restore()
    whole = installed.file.read_bytes()

    def shell(*words: str) -> tuple[int, str]:
        code = run(["--state-dir", str(installed.state), "--log", str(tmp_path / "log"), *words])
        shown = capsys.readouterr()
        text = shown.out + shown.err
        assert "Traceback" not in text and "unexpected" not in text, (what, words, text)
        return code, text

    step = len(whole) // FEW
    for what, data in damages(whole, part * step // PARTS, step):
        installed.restore()
        for generation in installed.file.parent.glob(f"{FILE}*"):
            generation.write_bytes(data)
        try:
            read = StateFolder(installed.state).read(MESH) is not None
        except (StateDamaged, StateTooNew):
            read = False
        if read:
            continue  # what was wrong was white space
        before = installed.standing()
        for words in (("status",), ("resume",), ("verify", MESH), ("uninstall", "--yes")):
            code, text = shell(*words)
            assert code not in (0, 70), (what, words, text)
            assert "cannot be believed" in text or "newer" in text, (what, words, text)
            assert MESH in text, (what, words, text)
        code, text = shell("plan", "-f", str(file))
        if "newer" not in text:
            assert "nothing to do" in text, (what, text)
            code, text = shell("apply", "-f", str(file))
            assert code == 0, (what, text)
            assert shell("status")[0] == 0
        assert installed.standing() == before, what
