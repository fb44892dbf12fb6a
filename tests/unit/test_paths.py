"""Paths as people mistype them, and files that are written where something is."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wizard.clusters.kubeconfig import default_files, read
from wizard.console import files
from wizard.errors import BadInput, Failed
from wizard.mesh.meshfile import read_meshfile
from wizard.paths import expanded, is_file, is_folder, is_there

ROOT = Path(__file__).parents[2]
HOPELESS = ["~nobody-of-this-name/x", "a\0b", "x" * 300, "/" + "x/" * 3000]


@pytest.mark.parametrize("typed", HOPELESS)
def test_a_path_that_cannot_be_is_just_not_there(typed: str) -> None:
    path = expanded(typed)
    assert (is_there(path), is_file(path), is_folder(path)) == (False, False, False)
    with pytest.raises(BadInput):
        read(path)
    with pytest.raises(BadInput):
        files.check(path)
    with pytest.raises((BadInput, Failed)):
        files.write(path, "text", overwrite=True, mode=0o644)


def test_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a") == tmp_path / "a"


@pytest.mark.parametrize("told", [path for path in HOPELESS if "\0" not in path])
def test_kubeconfigs_of_the_environment(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("KUBECONFIG", told)
    with pytest.raises(BadInput, match="KUBECONFIG does not exist"):
        default_files()


@pytest.mark.parametrize("typed", [path for path in HOPELESS if "\0" not in path])
@pytest.mark.parametrize("field", ["kubeconfig", "overlays", "path"])
def test_paths_in_a_mesh_file(tmp_path: Path, typed: str, field: str) -> None:
    told = {"kubeconfig": "", "overlays": "", "path": "", field: typed}
    text = f"""
apiVersion: meshwizard/v1
kind: Mesh
name: mesh1
istio: {{overlays: [{told["overlays"]}]}}
certificates: {{source: directory, path: {told["path"] or "certs"}}}
clusters:
- {{name: cluster1, context: one, network: network1, kubeconfig: {told["kubeconfig"]!r}}}
- {{name: cluster2, context: two, network: network2}}
"""
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    mesh = read_meshfile(path)
    assert typed.strip("/") in str((mesh.clusters[0].kubeconfig, mesh.istio.overlays, mesh.certificates.path))
    path.write_text(text.replace(typed, '"a\\0b"').replace("'\"", '"').replace("\"'", '"'))
    with pytest.raises(BadInput) as refused:
        read_meshfile(path)
    assert "NUL" in str(refused.value.mistakes[0])


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text("what was there")
    path.chmod(0o600)
    code = (
        "import resource, signal; from pathlib import Path; from wizard.console.files import write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))\n"
        f"write(Path({str(path)!r}), 'x' * 100, overwrite=True, mode=0o644)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Failed" in done.stderr
    assert path.read_text() == "what was there"
    assert [entry.name for entry in tmp_path.iterdir()] == ["mesh.yaml"]
    files.write(path, "new", overwrite=True, mode=0o644)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


def test_a_link_keeps_leading_where_it_does(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    link.symlink_to("file")
    files.write(link, "new", overwrite=True, mode=0o644)
    assert link.is_symlink()
    assert path.read_text() == "new"
    with pytest.raises(BadInput, match="is left as it is"):
        files.write(link, "newer", overwrite=False, mode=0o644)


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.check(pipe)
        files.write(pipe, "text", overwrite=True, mode=0o644)
        assert os.read(reader, 100) == b"text"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    files.write(Path("/dev/null"), "text", overwrite=True, mode=0o644)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(Failed):
        files.write(tmp_path, "text", overwrite=True, mode=0o644)


@pytest.mark.inputs("S14")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", ["fsync", "rename", "link", "close"])
def test_a_kill_leaves_no_credentials_under_another_name(tmp_path: Path, call: str, overwrite: bool) -> None:
    """As `contexts merge` writes."""
    path = tmp_path / "multiconf"
    if overwrite:
        path.write_text("what was there")
    code = (
        "import os, signal; from pathlib import Path; from wizard.console.files import write\n"
        f"os.{call} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write(Path({str(path)!r}), 'token: abc', overwrite={overwrite}, mode=0o600)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:  # this call is not made
        return
    assert done.returncode == -9
    others = [each for each in tmp_path.iterdir() if each != path]
    assert not others or overwrite
    files.write(tmp_path / "another", "", overwrite=False, mode=0o600)  # the next start
    assert {each.name for each in tmp_path.iterdir()} - {path.name} == {"another"}
