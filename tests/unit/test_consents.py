"""Strangers' files: what they would run, read or send needs a consent that names it."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import wizard.console.consent
import wizard.console.settings
from wizard.clusters.consents import FILE, Consents, Unconsented
from wizard.clusters.plugin import plugin_of
from wizard.commands.main import run
from wizard.mesh.files import files_of
from wizard.mesh.model import Cluster, Mesh
from wizard.real import RealOutside

pytestmark = pytest.mark.inputs("S7")

Shell = Callable[..., tuple[int, str, str]]


def kubeconfig(path: Path, trace: Path, *, args: tuple[str, ...] = (), contexts: int = 2) -> Path:
    """A kubeconfig whose users run a script beside it, which leaves a trace and gives nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = path.parent / "give-me"
    script.write_text(f"#!/bin/sh\necho run >> {trace}\nexit 1\n")
    script.chmod(0o755)
    run_it = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./give-me",
        "args": list(args),
        "interactiveMode": "Never",
    }
    names = [f"c{number}" for number in range(1, contexts + 1)]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in names],
        "clusters": [
            {"name": name, "cluster": {"server": f"https://192.0.2.{number}:1"}} for number, name in enumerate(names, 1)
        ],
        "users": [{"name": name, "user": {"exec": run_it}} for name in names],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


@pytest.fixture
def theirs(tmp_path: Path, trace: Path) -> Path:
    return kubeconfig(tmp_path / "theirs" / "config", trace)


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    (tmp_path / "mine").write_text("{}")
    istioctl = tmp_path / "bin" / "istioctl"
    istioctl.parent.mkdir()
    istioctl.write_text("""#!/bin/sh\necho '{"clientVersion": {"version": "1.29.1"}}'\n""")
    istioctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{istioctl.parent}:/usr/bin:/bin")


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["--state-dir", str(tmp_path / "state"), *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def meshfile(folder: Path, config: Path | None, **istio: Any) -> Path:
    clusters = [{"name": f"cluster{n}", "context": f"c{n}", "network": f"n{n}"} for n in (1, 2)]
    more = {"kubeconfig": str(config)} if config else {}
    document: dict[str, Any] = {"apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "istio": istio}
    path = folder / "mesh.yaml"
    path.write_text(yaml.safe_dump({**document, "clusters": [{**each, **more} for each in clusters]}))
    return path


@pytest.mark.parametrize("command", ["plan", "check", "apply", "export"])
def test_a_mesh_files_kubeconfig_runs_nothing_without_a_consent(
    shell: Shell, tmp_path: Path, theirs: Path, trace: Path, command: str
) -> None:
    mesh = str(meshfile(tmp_path, theirs))
    code, _, err = shell(command, "-f", mesh)
    assert code == 3, err
    script = str(theirs.parent / "give-me")
    assert f"{theirs} runs `{script}` ({script})" in err
    assert f"--consent {script}" in err
    assert not trace.exists()
    code, _, err = shell(command, "-f", mesh, "--consent", script)
    assert code != 3, err
    assert trace.exists()


def test_ones_own_kubeconfig_needs_no_consent(
    shell: Shell, tmp_path: Path, theirs: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(theirs))
    for config in (theirs, theirs.parent / ".." / "theirs" / "config"):
        trace.unlink(missing_ok=True)
        code, _, err = shell("check", "-f", str(meshfile(tmp_path, config)))
        assert code == 1, err
        assert trace.exists()


def test_a_person_who_is_there_is_asked_once(
    shell: Shell, tmp_path: Path, theirs: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [False, True]
    monkeypatch.setattr(wizard.console.consent, "has_terminal", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: answers.pop(0))
    mesh = str(meshfile(tmp_path, theirs))
    code, _, err = shell("plan", "-f", mesh)
    assert code == 3
    assert f"({theirs.parent / 'give-me'})" in err.splitlines()[0]
    assert not trace.exists()
    assert shell("plan", "-f", mesh)[0] == 1
    assert trace.exists()
    kept = tmp_path / "state" / FILE
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert shell("plan", "-f", mesh)[0] == 1, "it is remembered"
    assert not answers
    assert shell("status")[0] == 2, "what is remembered is no mesh"
    monkeypatch.setattr(wizard.console.consent, "has_terminal", lambda: False)
    kubeconfig(theirs, trace, args=("--other",))
    assert shell("plan", "-f", mesh)[0] == 3, "what is run is another now"


def test_what_was_agreed_to_is_just_that(tmp_path: Path, theirs: Path, trace: Path) -> None:
    def plugin() -> Any:
        user = yaml.safe_load(theirs.read_text())["users"][0]["user"]
        return plugin_of(user, theirs)

    state = tmp_path / "state"
    first = plugin()
    Consents(lambda: state).agree([first])
    assert Consents(lambda: state).may_run(plugin())
    assert not Consents().may_run(first)
    assert Consents(given=[first.path]).may_run(first)
    assert not Consents(given=["/bin/sh"]).may_run(first)
    (theirs.parent / "give-me").write_text("#!/bin/sh\ntouch pwned\n")
    assert not Consents(lambda: state).may_run(plugin()), "a script beside the kubeconfig counts with what is in it"
    kubeconfig(theirs, trace, args=("./give-me",))
    assert not Consents(lambda: state).may_run(plugin())
    other = shutil.copytree(theirs.parent, tmp_path / "elsewhere") / "config"
    assert not Consents(lambda: state).may_run(plugin_of(yaml.safe_load(other.read_text())["users"][0]["user"], other))
    state.joinpath(FILE).write_text("[garbage")
    assert not Consents(lambda: state).may_run(first)
    state.chmod(0o777)
    Consents(lambda: state).agree(
        [first]
    )  # a folder that others may write is not believed, and it is no reason to stop
    assert not Consents(lambda: state).may_run(first)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"exec": {"command": "aws", "args": ["eks", "a b"]}}, "aws eks 'a b'"),
        ({"exec": {"command": "x\x1b[31m", "args": None}}, "'x'$'\\x1b''[31m'"),
        (
            {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/x/gcloud", "cmd-args": "a b"}}},
            "",
        ),  # no longer run by anybody
        ({"auth-provider": {"name": "oidc", "config": {}}}, ""),
        ({"token": "x"}, ""),
        ({"token": "x", "exec": {"command": "aws"}}, ""),  # as kubectl: the token counts
        (None, ""),
        ({"exec": None}, ""),
    ],
)
def test_what_a_user_runs(user: dict[str, Any] | None, words: str) -> None:
    found = plugin_of(user, Path("/k/config"))
    assert (found.words if found else "") == words


def test_nothing_is_run_while_one_chooses(tmp_path: Path, theirs: Path, trace: Path) -> None:
    outside = RealOutside(None, (), Consents())
    entries = outside.contexts([theirs])
    assert all(entry.plugin for entry in entries)
    facts = outside.facts(entries[0])
    assert not facts.reachable
    assert "nobody agreed" in facts.problem
    assert not trace.exists()
    outside.agree(entries[:1])
    assert "it failed" in outside.facts(entries[0]).problem
    assert trace.exists()
    # They are the same command, of the same file.
    assert [entry.plugin for entry in outside.contexts([theirs])] == [None, None]


def test_the_plain_questions_run_what_the_chosen_contexts_run(
    shell: Shell, theirs: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    class Watched(RealOutside):
        def facts(self, entry: Any) -> Any:
            counts.append(entry.context)
            return super().facts(entry)

    monkeypatch.setattr(
        wizard.console.settings, "outside_of", lambda told: Watched(None, told.kubeconfigs, told.consents)
    )
    kubeconfig(theirs, trace, contexts=4)
    answers = iter(["1 3"])
    monkeypatch.setattr(
        "wizard.plain.numbered.Numbered.__init__.__defaults__", (lambda: next(answers, None) or _end(),)
    )
    _, out, err = shell("plain", "--kubeconfig", str(theirs))
    assert f"4 contexts run `{theirs.parent}/give-me` ({theirs.parent}/give-me) for credentials" in out
    assert sorted(counts) == ["c1", "c3"]
    assert "c1: " in err


def _end() -> str:
    raise EOFError


def test_a_world_is_not_made_before_the_consent(tmp_path: Path, theirs: Path) -> None:
    clusters = (Cluster("a", "c1", "n1", kubeconfig=theirs), Cluster("b", "c2", "n2", kubeconfig=theirs))
    mesh = Mesh(name="m", clusters=clusters)
    consents = Consents()
    outside = RealOutside(None, (), consents)
    with pytest.raises(Unconsented) as asked:
        outside.world(mesh)
    assert asked.value.exit_code == 3
    assert asked.value.what.startswith("a and b: ")
    asked.value.agree()
    assert set(outside.world(mesh).clusters) == {"a", "b"}


def test_plan_names_what_would_be_sent(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.unit.commands_fakes import Toy, put_in_place

    put_in_place([Toy("cluster1/a")], put=lambda module, name, value: monkeypatch.setattr(f"{module}.{name}", value))
    overlay, secret = tmp_path / "overlay.yaml", tmp_path / "docker.json"
    overlay.write_text("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {}\n")
    secret.write_text(json.dumps({"auths": {"r": {"auth": "x"}}}))
    mesh = meshfile(tmp_path, None, pullSecret="pull", pullSecretFile=str(secret), overlays=[str(overlay)])
    code, out, err = shell("plan", "-f", str(mesh))
    assert code == 0, err
    assert f"File {secret} (istio.pullSecretFile) is sent to every cluster, as Secret pull" in out
    assert f"File {overlay} (istio.overlays[0]) is handed to istioctl" in out
    told = json.loads(shell("plan", "-f", str(mesh), "--json")[1])
    assert [each["path"] for each in told["files"]] == [str(secret), str(overlay)]


@pytest.mark.inputs("S2", "S7")
def test_the_overlays_of_a_single_cluster_are_named_as_all_others(tmp_path: Path) -> None:
    clusters = (Cluster("a", "a", "n"), Cluster("b", "b", "m", overlays=(tmp_path / "b.yaml",)))
    (named,) = files_of(Mesh("mesh1", clusters))
    assert (named.field, named.path) == ("clusters[1].overlays[0]", tmp_path / "b.yaml")
    assert named.use.endswith("to b")
