"""Kubeconfigs: read without trust, and merged so that nothing is lost."""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard.clusters.kubeconfig import (
    credentials,
    default_files,
    entries,
    missing_contexts,
    read,
)
from wizard.clusters.kubeconfig_merge import merge
from wizard.clusters.kubeconfig_read import MAX_BYTES
from wizard.commands.main import run
from wizard.errors import BadInput
from wizard.mesh.model import Cluster, Mesh
from wizard.real import RealOutside

ADMIN = "kubernetes-admin@kubernetes"


def kubeadm(folder: Path, number: int, name: str = "", **more: Any) -> Path:
    """A kubeconfig as kubeadm writes it, of cluster `number`."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": ADMIN,
        "clusters": [{"name": "kubernetes", "cluster": {"server": f"https://10.0.0.{number}:6443",
                      "certificate-authority-data": base64.b64encode(f"CA {number}".encode()).decode()}}],
        "users": [{"name": "kubernetes-admin", "user": {"client-certificate-data": f"WQ{number}=", "client-key-data": "Yg=="}}],
        "contexts": [{"name": ADMIN, "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}],
    }  # fmt: skip
    path = folder / (name or f"admin{number}.conf")
    path.write_text(yaml.safe_dump(content | more))
    return path


def mesh_of(*clusters: tuple[Path | None, str]) -> Mesh:
    return Mesh(
        "mesh1",
        tuple(
            Cluster(f"cluster{number}", context, f"network{number}", kubeconfig=path)
            for number, (path, context) in enumerate(clusters, 1)
        ),
    )


# -- reading


def test_entries_tell_what_the_file_says(tmp_path: Path) -> None:
    (entry,) = entries([kubeadm(tmp_path, 1)])
    assert (entry.context, entry.server, entry.user) == (ADMIN, "https://10.0.0.1:6443", "kubernetes-admin")
    assert entry.credentials == "client certificate"
    assert entry.current
    assert entry.kubeconfig == tmp_path / "admin1.conf"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"token": "secret"}, "token"),
        ({"tokenFile": "x"}, "token"),
        ({"username": "u", "password": "secret"}, "password"),
        ({"exec": {"command": "aws\x1b[31m", "args": ["secret"]}}, "runs aws�[31m"),
        ({"auth-provider": {"name": "gcp"}}, "auth provider gcp"),
        ({}, "none"),
        (None, "none: this user is not in the file"),
    ],
)
def test_credentials_are_named_and_never_shown(user: dict[str, Any] | None, said: str) -> None:
    assert credentials(user) == said


def test_nothing_in_a_kubeconfig_is_run(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    run_it = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(trace)]}}
    path = kubeadm(tmp_path, 1, users=[{"name": "kubernetes-admin", "user": run_it}])
    before = path.read_bytes()
    entries([path])
    missing_contexts(mesh_of((path, ADMIN)))
    assert not trace.exists()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00\x01",
        b"[" * 200_000,
        b"a: &a [*a]",
        b"!!python/object/apply:os.system ['true']",
        b"- 1",
        b"contexts: {}",
        b"contexts: [1]",
        b"contexts: [{name: {}, context: {}}]",
        b"contexts: [{context: {}}]",
        b"users: [{name: a, user: [1]}]",
        b"clusters: [{name: a, cluster: text}]",
        b"a: 1\na: 2",
    ],
)
def test_a_file_that_is_no_kubeconfig_is_bad_input_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.conf"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        entries([path])
    assert "odd.conf" in caught.value.what


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_kubeconfig_or_bad_input(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "config"
    path.write_bytes(content)
    with contextlib.suppress(BadInput):
        read(path)


def test_missing_folders_and_giants_are_bad_input(tmp_path: Path) -> None:
    giant = tmp_path / "giant"
    with giant.open("wb") as file:
        file.truncate(MAX_BYTES + 10)
    for path in (tmp_path / "absent", tmp_path, giant):
        with pytest.raises(BadInput) as caught:
            entries([path])
        assert path.name in caught.value.what


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert entries([empty]) == []


@pytest.mark.inputs("49")
def test_contexts_whose_names_cannot_be_shown_are_listed_and_cannot_be_chosen(tmp_path: Path) -> None:
    context = {"cluster": "kubernetes", "user": "kubernetes-admin"}
    names = ["good", "bad\x1b[31m", "bidi\u202e", "👩\u200d👧"]
    path = kubeadm(tmp_path, 1, contexts=[{"name": name, "context": dict(context)} for name in names])
    found = entries([path])
    shown = "\N{REPLACEMENT CHARACTER}"
    assert [entry.context for entry in found] == ["good", f"bad{shown}[31m", f"bidi{shown}", f"👩{shown}👧"]
    assert ["rename-context" in entry.problem for entry in found] == [False, True, True, True]


def test_defaults_are_those_of_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = kubeadm(tmp_path, 1), kubeadm(tmp_path, 2)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(one), "", str(tmp_path / "absent"), str(two), str(one)]))
    assert default_files() == [one, two]
    assert [entry.server[-6] for entry in entries()] == ["1", "2"]
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    with pytest.raises(BadInput, match="KUBECONFIG"):
        default_files()
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput, match="config"):
        default_files()
    (tmp_path / ".kube").mkdir()
    kubeadm(tmp_path / ".kube", 3, "config")
    assert len(entries()) == 1


# -- mistakes found without asking a cluster


def test_a_missing_context_lists_those_that_are_there(tmp_path: Path) -> None:
    path = kubeadm(tmp_path, 1)
    (mistake,) = missing_contexts(mesh_of((path, ADMIN), (path, "nobody")))
    assert mistake.path == "clusters[1].context"
    assert "'nobody'" in mistake.text
    assert ADMIN in mistake.text


def test_every_missing_thing_is_told_at_once(tmp_path: Path) -> None:
    dangling = kubeadm(tmp_path, 2, clusters=[])
    mistakes = missing_contexts(mesh_of((tmp_path / "absent", "a"), (dangling, ADMIN), (kubeadm(tmp_path, 1), "c")))
    assert [mistake.path for mistake in mistakes] == [
        "clusters[0].kubeconfig",
        "clusters[1].context",
        "clusters[2].context",
    ]
    assert "names a cluster that is not there" in mistakes[1].text


@pytest.mark.inputs("35")
@pytest.mark.parametrize("apart", [{"tls-server-name": "two.teleport.internal"}, {}], ids=["by server name", "by user"])
def test_no_file_tells_whether_two_contexts_are_one_cluster(tmp_path: Path, apart: dict[str, str]) -> None:
    """Behind Teleport and its like all clusters have one server and one authority."""
    server = {"server": "https://teleport.example.com:443", "certificate-authority-data": "Q0E="}
    one = kubeadm(tmp_path, 1, clusters=[{"name": "kubernetes", "cluster": server}])
    two = kubeadm(tmp_path, 2, clusters=[{"name": "kubernetes", "cluster": {**server, **apart}}])
    assert RealOutside().mistakes(mesh_of((one, ADMIN), (two, ADMIN))) == ()


# -- merging


def test_what_collides_is_renamed_and_nothing_is_lost(tmp_path: Path) -> None:
    merged = yaml.safe_load(merge([kubeadm(tmp_path, 1), kubeadm(tmp_path, 2)]).text)
    contexts = {each["name"]: each["context"] for each in merged["contexts"]}
    assert list(contexts) == ["kubernetes-admin1@kubernetes", "kubernetes-admin2@kubernetes"]
    assert contexts["kubernetes-admin2@kubernetes"] == {"cluster": "kubernetes2", "user": "kubernetes-admin2"}
    servers = {each["name"]: each["cluster"]["server"] for each in merged["clusters"]}
    assert servers == {"kubernetes1": "https://10.0.0.1:6443", "kubernetes2": "https://10.0.0.2:6443"}
    assert merged["current-context"] == "kubernetes-admin1@kubernetes"


def test_names_by_file(tmp_path: Path) -> None:
    files = [kubeadm(tmp_path, 1, "east.conf"), kubeadm(tmp_path, 2, "west.conf")]
    names = [context.name for context in merge(files, by_file_name=True).contexts]
    assert names == ["kubernetes-admin-east@kubernetes", "kubernetes-admin-west@kubernetes"]


def test_the_same_file_twice_stays_one(tmp_path: Path) -> None:
    path = kubeadm(tmp_path, 1)
    merged = merge([path, path])
    assert [context.name for context in merged.contexts] == [ADMIN]


def test_made_up_names_give_way_to_given_ones(tmp_path: Path) -> None:
    taken = {"name": "kubernetes-admin1@kubernetes", "context": {"cluster": "x", "user": "z"}}
    mine = {"name": ADMIN, "context": {"cluster": "kubernetes", "user": "kubernetes-admin"}}
    merged = merge([kubeadm(tmp_path, 1), kubeadm(tmp_path, 2, contexts=[mine, taken])])
    names = [context.name for context in merged.contexts]
    assert names == ["kubernetes-admin1@kubernetes-2", "kubernetes-admin2@kubernetes", "kubernetes-admin1@kubernetes"]


def test_file_references_stay_valid(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    cluster = {"server": "https://a", "certificate-authority": "ca.crt"}
    user = {
        "client-certificate": "pki/a.crt",
        "client-key": "/abs/a.key",
        "exec": {"command": "./login", "args": ["x"]},
    }
    path = kubeadm(
        tmp_path / "deep", 1,
        clusters=[{"name": "kubernetes", "cluster": cluster}], users=[{"name": "kubernetes-admin", "user": user}],
    )  # fmt: skip
    merged = yaml.safe_load(merge([path, kubeadm(tmp_path, 2)]).text)
    folder = tmp_path / "deep"
    assert merged["clusters"][0]["cluster"]["certificate-authority"] == str(folder / "ca.crt")
    moved = merged["users"][0]["user"]
    assert moved["client-certificate"] == str(folder / "pki/a.crt")
    assert moved["client-key"] == "/abs/a.key"
    assert Path(moved["exec"]["command"]) == folder / "login"


_name = st.sampled_from(["a", "b", "a@k", "a1", "a1@k", "a2@k", "a-2"])
_file = st.dictionaries(_name, st.integers(1, 3), min_size=1, max_size=4)


@given(st.lists(_file, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_context_still_leads_to_its_cluster(
    tmp_path_factory: pytest.TempPathFactory, files: list[dict[str, int]], by_file_name: bool
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    paths = []
    for index, contexts in enumerate(files):
        paths.append(folder / f"f{index}")
        content = {
            "clusters": [{"name": name, "cluster": {"server": f"https://{at}"}} for name, at in contexts.items()],
            "users": [{"name": name, "user": {"token": f"t{index}"}} for name in contexts],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in contexts],
        }
        paths[-1].write_text(yaml.safe_dump(content))
    merged = merge(paths, by_file_name=by_file_name)
    (folder / "out").write_text(merged.text)
    result = read(folder / "out")
    reached = set()
    for context in result.contexts.values():
        token = result.users[context["user"]]["token"]
        reached.add((token, result.clusters[context["cluster"]]["server"]))
    assert reached == {(f"t{index}", f"https://{at}") for index, file in enumerate(files) for at in file.values()}
    assert merge(paths, by_file_name=by_file_name).text == merged.text
    assert {context.name for context in merged.contexts} == set(result.contexts)


def test_the_command_writes_privately_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, out = kubeadm(tmp_path, 1), kubeadm(tmp_path, 2), tmp_path / "multiconf"
    assert run(["contexts", "merge", str(one), str(two), "-o", str(out)]) == 0
    assert "kubernetes-admin2@kubernetes" in capsys.readouterr().out
    assert out.stat().st_mode & 0o777 == 0o600
    before = out.read_bytes()
    assert run(["contexts", "merge", str(two), "-o", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(["contexts", "merge", str(two), "-o", str(out), "--force"]) == 0
    assert out.read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["admin1.conf", "admin2.conf", "multiconf"]


@pytest.mark.parametrize(
    "arguments", [["absent", "-o", "out"], ["admin1.conf", "-o", "nofolder/out"], ["empty", "-o", "out"]]
)
def test_the_command_refuses_what_it_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    kubeadm(tmp_path, 1)
    (tmp_path / "empty").write_text("")
    assert run(["contexts", "merge", *arguments]) == 2
    assert capsys.readouterr().err.startswith("Error: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = kubeadm(tmp_path, 1)
    path.chmod(0)
    with pytest.raises(BadInput, match="Permission denied"):
        entries([path])
