"""Whatever clusters, kubeconfigs, istioctl, state and mesh files say: no command, log or report lets it through raw."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wizard.console.settings
from tests.unit.hostile import DENIED, EVIL, HUGE, SHAPES, Hostile, misshaped, named, owned, waiting
from wizard.commands.main import run
from wizard.console.output import Output
from wizard.errors import Failed, Mistake, Unreachable
from wizard.simulated.outside import SimulatedOutside

pytestmark = [pytest.mark.core, pytest.mark.promise(37)]
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
LONGEST = 40_000  # characters of a line: a megabyte is cut


def fails(**calls: type[Failed]) -> Callable[[Hostile], None]:
    return lambda outside: outside.fails.update(calls)


def sets(**values: Any) -> Callable[[Hostile], None]:
    def change(outside: Hostile) -> None:
        for name, value in values.items():
            setattr(outside, name, value)

    return change


SPOILT: dict[str, Callable[[Hostile], None]] = {
    "words only": sets(),
    "every read fails": fails(get=DENIED, objects=Failed),
    "no identity": fails(identity=Failed),
    "no version": fails(version=Failed),
    "writes fail": fails(apply=Failed),
    "deletes fail": fails(delete=DENIED),
    "exec fails": fails(execute=Failed),
    "istioctl fails": fails(install=Failed),
    "no remote secret": fails(remote_secret=Failed),
    "silent": fails(identity=Unreachable, get=Unreachable, objects=Unreachable),
    "conflicts": sets(conflicts=True),
    "garbled answers": sets(garbled=True),
    "owned by others": sets(spoil=owned),
    "pods wait": sets(spoil=waiting),
    "names and data": sets(spoil=named),
    "server": sets(server=f"https://{EVIL}"),
    "uid": sets(uid=EVIL),
    **{f"data is {name}": sets(spoil=misshaped(value)) for name, value in SHAPES.items()},
    "mistakes": sets(found_mistakes=(Mistake("clusters", EVIL), Mistake(EVIL, HUGE, 3))),
}


class Shell:
    """Runs command lines and judges all that they let out."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        log, report = self.place / "log", self.place / "report"
        options = ["--state-dir", str(self.place / "state"), "--log", str(log), "--report", str(report), "-v"]
        root = logging.getLogger()
        # pytest would keep the log's records as they are, and cannot report them.
        kept, root.handlers = root.handlers, []
        try:
            code = run([*options, *arguments])
        finally:
            root.handlers = kept
        shown = self._capsys.readouterr()
        for where, text in (
            ("stdout", shown.out), ("stderr", shown.err),
            ("log", log.read_text() if log.exists() else ""), ("report", report.read_text() if report.exists() else ""),
        ):  # fmt: skip
            found = FORBIDDEN.search(text)
            assert not found, (where, arguments, ascii(text[max(0, found.start() - 200) : found.end() + 80]))
            longest = max(text.splitlines(), key=len, default="")
            assert len(longest) < LONGEST, (where, arguments, longest[:500])
        assert "Traceback" not in shown.out
        assert "unexpected" not in shown.err, shown.err
        assert not report.exists(), report.read_text()
        return code, shown.out


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


def over(monkeypatch: pytest.MonkeyPatch, outside: SimulatedOutside) -> None:
    monkeypatch.setattr(wizard.console.settings, "outside_of", lambda settings: outside)


def mesh_file(place: Path, **more: Any) -> str:
    clusters = [
        {"name": f"cluster{number}", "context": each.context, "network": f"network{number}"}
        for number, each in enumerate(SimulatedOutside().contexts(), 1)
    ]
    path = place / "mesh.yaml"
    document = {"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "clusters": clusters, **more}
    path.write_text(json.dumps(document))
    return str(path)


NEW = ("words only", "writes fail", "exec fails", "istioctl fails", "no remote secret", "pods wait", "conflicts", "uid")


@pytest.mark.parametrize(
    ("how", "stage"), [*((how, "new") for how in NEW), *((how, "standing") for how in SPOILT if how != "words only")]
)
def test_no_command_lets_anything_through(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, stage: str
) -> None:
    monkeypatch.setattr("wizard.engine.step.SILENT_SECONDS", 0)
    outside = Hostile()
    over(monkeypatch, outside)
    file = mesh_file(tmp_path)
    if stage == "standing":
        assert shell("apply", "-f", file)[0] == 0
    SPOILT[how](outside)
    shell("check", "-f", file)
    shell("check", "-f", file, "--json")
    shell("plan", "-f", file)
    _, text = shell("plan", "-f", file, "--json")
    if text:
        json.loads(text)
    shell("export", "-f", file)
    _limited(monkeypatch)
    _, text = shell("apply", "-f", file, "--json")
    for line in text.splitlines():
        json.loads(line)
    shell("apply", "-f", file)
    shell("status")
    _, text = shell("status", "--json")
    if text:
        json.loads(text)
    shell("verify")
    shell("verify", "--json", "--junit", str(tmp_path / "junit.xml"))
    if (tmp_path / "junit.xml").exists():
        assert not FORBIDDEN.search((tmp_path / "junit.xml").read_text())
    shell("uninstall", "--yes")
    shell("resume")


def test_whatever_is_written_passes_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(color=False)
    out.line(EVIL)
    out.remark(HUGE)
    out.json({EVIL: [HUGE]})
    shown = capsys.readouterr()
    assert not FORBIDDEN.search(shown.out + shown.err)
    assert "Error: forged" in shown.out


def _limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are in vain end soon."""
    from wizard.engine.step import Job

    whole = Job.wait

    def short(self: Job, what: str, look: Any, *, seconds: float, **more: Any) -> Any:
        return whole(self, what, look, seconds=min(seconds, 0.5), **more)

    monkeypatch.setattr(Job, "wait", short)


WHERE = (
    "name", "topology", "trustDomain", "istio.version", "istio.hub", "istio.revision", "istio.pullSecret", "istio.overlays",
    "certificates.source", "certificates.path", "verify.namespace", "verify.curlImage", EVIL, f"istio.{EVIL}",
)  # fmt: skip
IN_CLUSTERS = (
    "name", "context", "network", "kubeconfig", "role", "primary", "apiServer", "gateway.exposure", "gateway.address",
    "gateway.port", "sample", EVIL,
)  # fmt: skip


@pytest.mark.parametrize("text", [EVIL, HUGE], ids=["evil", "huge"])
def test_a_mesh_file_of_hostile_strings_is_refused_in_harmless_words(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    over(monkeypatch, Hostile())
    for key in (*WHERE, *(f"clusters.{key}" for key in IN_CLUSTERS)):
        path = Path(mesh_file(tmp_path))
        document = json.loads(path.read_text())
        place: Any = document["clusters"][0] if key.startswith("clusters.") else document
        *above, last = (
            key.removeprefix("clusters.").split(".", 1) if "evil" not in key else [key.removeprefix("clusters.")]
        )
        for part in above:
            place = place.setdefault(part, {})
        place[last] = [text] if last == "overlays" else text
        path.write_text(json.dumps(document))
        for command in ("plan", "apply", "export", "check"):
            assert shell(command, "-f", str(path))[0] != 0, key
    path.write_bytes(b"\x1b[2J\x9b: \xff\xfe\x00")
    assert shell("plan", "-f", str(path))[0] == 2
    assert shell("plan", "-f", str(tmp_path / f"{EVIL[:20]}\u202e"))[0] == 2


def test_hostile_names_in_the_state_and_on_the_command_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from state import StateFolder

    over(monkeypatch, Hostile())
    file = mesh_file(tmp_path)
    assert shell("apply", "-f", file)[0] == 0
    encodable = EVIL.encode(errors="replace").decode()
    with StateFolder(tmp_path / "state").open("mesh1") as journal:
        state = journal.state
        document = {
            **state.document,
            "clusters": [{**each, "apiServer": encodable} for each in state.document["clusters"]],
        }
        journal.start("apply", state.document, {"istioctl": encodable}, {"cluster1": {"note": encodable}})
        for step in state.steps:
            journal.end(step, "failed", encodable)
    for command in ("status", "verify", "resume", "apply", "uninstall"):
        shell(command, *(["-f", file] if command == "apply" else ["--yes"] if command == "uninstall" else []))
        shell(*(["apply", "-f", file] if command == "uninstall" else ["status", "--json"]))
    with StateFolder(tmp_path / "state").open("mesh1") as journal:
        journal.start("apply", document, {"leaving": [encodable], "untouched": [encodable]}, {})
    for command in ("status", "verify", "resume"):
        assert shell(command)[0] != 0
    for words in (
        ["status", EVIL],
        ["resume", EVIL],
        [EVIL],
        ["apply", f"--{EVIL}"],
        ["apply", "-f", file, "--remove", EVIL],
    ):
        assert shell(*[word.replace("\x00", "").encode(errors="replace").decode() for word in words])[0] == 2


def test_hostile_kubeconfigs_are_merged_and_chosen_from_in_harmless_words(shell: Shell, tmp_path: Path) -> None:
    import yaml

    encodable = EVIL.replace("\x00", "").encode(errors="replace").decode()
    files = []
    for number in (1, 2):
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": encodable, "cluster": {"server": f"https://{encodable}"}}],
            "users": [{"name": encodable, "user": {"token": "secretsecret", "exec": {"command": encodable}}}],
            "contexts": [{"name": encodable, "context": {"cluster": encodable, "user": encodable}}],
            "current-context": encodable,
        }
        files.append(tmp_path / f"config{number}")
        files[-1].write_text(yaml.safe_dump(config))
    out = tmp_path / "merged"
    assert shell("contexts", "merge", *map(str, files), "-o", str(out))[0] == 0
    shell("contexts", "merge", *map(str, files), "-o", str(out))  # it exists
    shell("plain", *(word for file in files for word in ("--kubeconfig", str(file))), "--context", "none")
    shell("plain", "--kubeconfig", str(out))


@pytest.mark.parametrize("options", [[], ["--no-color"]])
def test_the_demo_in_a_hostile_town(shell: Shell, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    import wizard.commands.demo

    monkeypatch.setattr(wizard.commands.demo, "simulated_outside", lambda *_: Hostile())
    assert shell("demo", *options)[0] == 0
