"""client-go's rules for kubeconfigs: what kubectl would not load, or not use, is refused by name, with its line."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from screens.draft import Draft
from wizard.clusters import kubeconfig_read
from wizard.clusters.clientcmd import Content, Unloadable, decoded, loaded
from wizard.clusters.contexts import ContextEntry
from wizard.clusters.kubeconfig import entries, missing_contexts
from wizard.clusters.kubeconfig_read import found_in, read
from wizard.clusters.login import chosen, login
from wizard.clusters.usable import flaws
from wizard.console.choosing import chosen_clusters
from wizard.errors import BadInput
from wizard.mesh.model import Cluster, Mesh
from wizard.real import RealOutside

GROUP = "client.authentication.k8s.io"
AUTHORITY = {"server": "https://a", "certificate-authority-data": "QQ=="}


def config(user: Any = None, cluster: Any = None, context: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"} if cluster is None else cluster}],
        "users": [{"name": "u", "user": {"token": "abc"} if user is None else user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"} if context is None else context}],
        **more,
    }


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, width=10_000))
    return path


def problem(path: Path) -> str:
    (entry,) = entries([path])
    return entry.problem


# -- one text


SPELLED = [  # as a token, and whether Go sees text
    ("abc", True), ('"0815"', True), ("'yes'", True), ("2001-01-01", True), ("1:30", True), ("12e999", True), ("0x", True),
    ("tRue", True), ("1.2.3", True), ("!!str 7", True), ("-", False), ("0815", False), ("7e12", False), ("1_000", False),
    ("yes", False), ("y", False), ("N", False), ("On", False), (".5", False), ("0x1F", False), ("0o17", False), ("0b1", False),
    ("25921e05", False), ("[abc]", False), ("{a: b}", False), (".inf", False), ("!!binary YQ==", False), ("9" * 30, False),
]  # fmt: skip


@pytest.mark.inputs("30", "34")
@pytest.mark.parametrize(("spelled", "text"), SPELLED)
def test_bare_words_are_what_go_takes_them_for(spelled: str, text: bool) -> None:
    """As the real kubectl reads them: tests/lab/test_kubeconfigs.py compares."""
    raw = f"users:\n- name: u\n  user:\n    token: {spelled}\n".encode()
    if text:
        assert isinstance(loaded(raw).users["u"]["token"], str)
        return
    with pytest.raises(Unloadable) as refused:
        loaded(raw)
    assert {mistake.line for mistake in refused.value.mistakes} <= {4, 5}


@pytest.mark.inputs("30", "34")
@pytest.mark.parametrize(
    ("text", "where", "line"),
    [
        ("clusters:\n- name: c\n  cluster:\n    insecure-skip-tls-verify: 'false'", "insecure-skip-tls-verify", 4),
        ("clusters:\n- name: c\n  cluster: {server: 7}", "clusters[0].cluster.server", 3),
        ("users:\n- name: u\n  user:\n    exec:\n      args: [a, 7]", "users[0].user.exec.args[1]", 5),
        ("users:\n- name: u\n  user:\n    exec:\n      provideClusterInfo: 'yes'", "provideClusterInfo", 5),
        ("users:\n- name: u\n  user:\n    as-groups: g", "as-groups", 4),
        ("users:\n- name: u\n  user:\n    as-user-extra: {a: b}", "as-user-extra.a", 4),
        ("users:\n- name: u\n  user:\n    client-key-data: a", "client-key-data", 4),
        ("contexts:\n- name: a\n- name: b\n- name: a", "contexts[2]", 4),
        ("contexts:\n- name: 7", "contexts[0].name", 2),
        ("contexts:\n- context: {}", "contexts[0]", 2),
        ("apiVersion: v2", "apiVersion", 1),
        ("kind: Pod", "kind", 1),
        ("current-context: 7", "current-context", 1),
        ("a: 1\nb: 2\na: 3", "", 3),
        ("a: 1\n---\nb: 2", "", 2),
        ("a: &a\n  b: *a", "", 1),
        ("a: !!python/name:os.system x", "", 1),
    ],
)
def test_what_kubectl_would_not_load_is_refused_with_its_line(text: str, where: str, line: int) -> None:
    with pytest.raises(Unloadable) as refused:
        loaded(text.encode())
    mistake = refused.value.mistakes[0]
    assert where in mistake.path
    assert mistake.line == line


def test_null_is_as_if_it_were_not_there_and_what_is_unknown_stays() -> None:
    said = loaded(b"clusters: null\nusers: [{name: u, user: {token: null, as-groups: [null, g], new-field: 017}}]")
    assert said == Content(users={"u": {"as-groups": ["", "g"], "new-field": 15}}, lines=said.lines)


@pytest.mark.inputs("38")
def test_an_authority_that_clusters_share_by_an_anchor_is_read() -> None:
    clusters = "".join(f"- name: c{n}\n  cluster: {{<<: *it, server: 'https://h{n}'}}\n" for n in range(50))
    said = loaded(f"x: &it {{certificate-authority-data: &ca QQ==}}\nclusters:\n{clusters}".encode())
    assert said.clusters["c49"] == {"certificate-authority-data": "QQ==", "server": "https://h49"}


@pytest.mark.inputs("38")
def test_aliases_are_bounded() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    with pytest.raises(Unloadable) as refused:
        loaded(bomb.encode())
    assert "aliases counted each time" in refused.value.mistakes[0].text


# -- files


@pytest.mark.inputs("S13")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "giant"])
def test_only_files_of_a_sane_size_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(kubeconfig_read.MAX_BYTES + 1)
    with pytest.raises(BadInput, match=f"kubeconfig {path} is "):
        read(path)
    for field in ("certificate-authority", "client-key", "tokenFile"):
        user = {} if field.startswith("cert") else {"client-certificate-data": "QQ==", field: "it"}
        cluster = {"server": "https://a", **({field: "it"} if not user else {})}
        naming = written(tmp_path / "config", config(user, cluster))
        assert f"{field} of" in problem(naming)
        assert str(path) in problem(naming)


@pytest.mark.inputs("33")
def test_a_file_is_parsed_once_and_again_where_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"n{number}" for number in range(30)]
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in names]
    path = written(tmp_path / "config", config() | {"contexts": contexts})
    parses: list[Path] = []
    real = kubeconfig_read.parsed
    monkeypatch.setattr(kubeconfig_read, "parsed", lambda at, raw: parses.append(at) or real(at, raw))
    outside = RealOutside()
    assert [entry.problem for entry in outside.contexts([path])] == [""] * 30
    outside.mistakes(Mesh("m", tuple(Cluster(name, name, name, kubeconfig=path) for name in names)))
    for name in names:
        assert login(chosen("east", path, name), seconds=5).headers["Authorization"] == "Bearer abc"
    assert parses == [path]
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"abc", b"xyz"))  # as large, and in the same moment
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert login(chosen("east", path, names[0]), seconds=5).headers["Authorization"] == "Bearer xyz"
    assert parses == [path, path]


# -- one context


@pytest.mark.inputs("28")
@pytest.mark.parametrize(
    "parts",
    [
        config(context={"cluster": "c"}),
        config(context={"cluster": "c", "user": None}),
        config(context={"cluster": "c", "user": ""}),
        config() | {"users": [{"name": "u", "user": None}]},
        config() | {"users": [{"name": "u"}]},
    ],
)
def test_without_a_user_it_is_anonymous(tmp_path: Path, parts: Any) -> None:
    path = written(tmp_path / "config", parts)
    assert problem(path) == ""
    assert dict(login(chosen("east", path, "here"), seconds=5).headers) == {}


@pytest.mark.inputs("34", "37")
@pytest.mark.parametrize(
    ("user", "cluster", "words"),
    [
        ({"exec": {"apiVersion": f"{GROUP}/v1alpha1", "command": "a"}}, None, f"exec.apiVersion of user u .* {GROUP}/v1alpha1"),
        ({"exec": {"apiVersion": f"{GROUP}/v1", "command": "a"}}, None, "exec.interactiveMode of user u .* is missing"),
        ({"exec": {"apiVersion": f"{GROUP}/v1beta1"}}, None, "exec.command of user u .* is missing"),
        ({"exec": {"apiVersion": f"{GROUP}/v1beta1", "command": "a"}, "auth-provider": {"name": "oidc"}}, None, "auth-provider"),
        ({"token": "a", "username": "b"}, None, "token of user u .* excludes username"),
        ({"tokenFile": "config", "username": "b"}, None, "tokenFile of user u .* excludes username"),
        ({"token": "a\nb"}, None, "token of user u .* holds characters"),
        ({"tokenFile": "nowhere"}, None, "tokenFile of user u .*/nowhere, which cannot be read"),
        ({"client-certificate-data": "QQ=="}, None, "client-certificate-data of user u .* needs client-key"),
        ({"client-certificate-data": "QQ==", "client-key": "gone.pem"}, None, "client-key of user u .*/gone.pem, which"),
        ({"client-certificate-data": "QQ==", "client-key-data": "REDACTED"}, None, "client-key-data of user u .*--raw"),
        ({"as-groups": ["g"]}, None, "as-groups of user u .* needs `as`"),
        ({"as": "a\nb"}, None, "as of user u .* cannot be sent"),
        (None, {}, "server of cluster c .* is missing"),
        (None, {"server": "192.0.2.1:6443"}, "server of cluster c .* is no address"),
        (None, {"server": "https://a", "certificate-authority-data": "DATA+OMITTED"}, "holds DATA.OMITTED, .*--raw"),
        (None, {**AUTHORITY, "insecure-skip-tls-verify": True}, "remove that flag"),
        (None, {**AUTHORITY, "certificate-authority": "x"}, "are both set"),
        (None, {"server": "https://a", "proxy-url": "host:3128"}, "proxy-url of cluster c .* must begin with"),
    ],
)  # fmt: skip
def test_what_kubectl_would_not_use_is_a_row_that_says_so_with_its_line(
    tmp_path: Path, user: Any, cluster: Any, words: str
) -> None:
    other = {"name": "other", "context": {"cluster": "d", "user": "v"}}
    parts = config(user, cluster)
    parts["contexts"].append(other)
    parts["clusters"].append({"name": "d", "cluster": {"server": "https://192.0.2.2"}})
    parts["users"].append({"name": "v", "user": {"token": "fine"}})
    path = written(tmp_path / "config", parts)
    bad, good = entries([path])
    assert good.problem == ""
    at = re.search(rf"\(line (\d+) of {path}\)", bad.problem)
    assert at
    field = re.split(r"[ .]", bad.problem.replace("exec.", ""))[0]
    line = path.read_text().splitlines()[int(at[1]) - 1]
    assert field in line or "exec:" in line or line.startswith("- ")  # of the field, or of where it is missing
    facts = RealOutside().facts(bad)
    assert (facts.reachable, facts.problem) == (False, bad.problem)
    mistake, *_ = missing_contexts(Mesh("m", tuple(Cluster(c, c, c, kubeconfig=path) for c in ("here", "other"))))
    assert mistake.path == "clusters[0].context"
    for said in (bad.problem, mistake.text):
        assert re.search(words, said), said


@pytest.mark.inputs("34")
def test_a_file_that_kubectl_would_not_load_is_refused_for_each_of_its_contexts_and_no_other(tmp_path: Path) -> None:
    bad = written(tmp_path / "bad", config() | {"users": [{"name": "u", "user": {"token": 815}}]})
    good = written(tmp_path / "good", config())
    found = {entry.kubeconfig: entry for entry in entries([bad, good, tmp_path / "absent"])}
    assert "token: must be text, not a number" in found[bad].problem
    assert "line " in found[bad].problem
    assert found[bad].context == "here"
    assert found[good].problem == ""
    assert "No such file" in found[tmp_path / "absent"].problem


# -- several files


@pytest.mark.inputs("32")
def test_files_of_the_environment_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/token").write_text("from-there\n")
    one = written(tmp_path / "one", config() | {"users": []})
    two = written(tmp_path / "deep/two", {
        "users": [{"name": "u", "user": {"tokenFile": "token"}}],
        "contexts": [{"name": "own", "context": {"cluster": "d", "user": "u"}}],
        "clusters": [{"name": "d", "cluster": {"server": "https://192.0.2.2"}}, {"name": "c", "cluster": {"server": "https://not"}}],
    })  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, (one, tmp_path / "absent", two))))
    here, own = entries()
    assert (here.context, here.kubeconfig, here.problem, here.server) == ("here", None, "", "https://192.0.2.1:6443")
    assert (own.context, own.kubeconfig, own.problem) == ("own", two, "")
    # What the choice says is what is asked, by every front end.
    assert login(chosen("east", None, "here"), seconds=5).headers["Authorization"] == "Bearer from-there"
    assert missing_contexts(Mesh("m", (Cluster("a", "here", "n"), Cluster("b", "own", "n", kubeconfig=two)))) == ()
    alone = entries([one])[0]
    assert "names a user that is not there" in alone.problem


@pytest.mark.inputs("32")
def test_of_each_name_the_first_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one", {"users": [{"name": "u", "user": {"token": "first"}}]})
    two = written(tmp_path / "two", config(user={"token": "second"}))
    found = found_in((read(one), read(two)), "here")
    assert found is not None
    assert found.user.body == {"token": "first"}
    assert flaws(found) == []
    # kubectl would take the first one's user for it, so it is not the second file's own.
    monkeypatch.setenv("KUBECONFIG", f"{one}{os.pathsep}{two}")
    (entry,) = entries()
    assert entry.kubeconfig is None


@pytest.mark.inputs("32")
def test_a_choice_that_needs_all_files_says_so_where_one_of_them_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        written(tmp_path / "one", config() | {"users": []}),
        written(tmp_path / "two", {"users": config()["users"]}),
    ]
    files.append(written(tmp_path / "broken", "users: {}"))
    files.append(written(tmp_path / "whole", config(context={"cluster": "c", "user": "w"}) | {
        "users": [{"name": "w", "user": {"token": "abc"}}],
        "clusters": [{"name": "w", "cluster": {"server": "https://w"}}],
        "contexts": [{"name": "whole", "context": {"cluster": "w", "user": "w"}}],
    }))  # fmt: skip
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, files)))
    found: dict[str, ContextEntry] = {entry.context: entry for entry in entries()}
    assert "broken cannot be used" in found["here"].problem
    assert "broken cannot be used" in found["broken"].problem
    assert found["whole"].problem == ""


def test_base64_may_be_folded(tmp_path: Path) -> None:
    data = base64.b64encode(b"x" * 90).decode()
    folded = (
        f"clusters:\n- name: c\n  cluster:\n    certificate-authority-data: |\n      {data[:40]}\n      {data[40:]}\n"
    )
    assert loaded(folded.encode()).clusters["c"]["certificate-authority-data"].replace("\n", "") == data


@pytest.mark.parametrize("end", ["=", "==", "====", "YQ", "YQ=", "YQ==YQ==", "Y", "!", " ", "-_=="])
def test_what_go_takes_for_no_base64_is_none(end: str) -> None:
    # kubectl 1.34: "illegal base64 data at input byte"
    with pytest.raises(ValueError, match="no base64"):
        decoded(f"YWJj{end}")
    assert [decoded(text) for text in ("", "YWJj", "YWI=", "YQ==", "YR==")] == [b"", b"abc", b"ab", b"a", b"a"]


# -- front ends


@pytest.mark.inputs("32", "34")
def test_a_choice_by_name_says_all_that_is_needed_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = written(tmp_path / "one", config() | {"users": []})
    two = written(tmp_path / "two", {"users": config()["users"]})
    monkeypatch.setenv("KUBECONFIG", f"{one}{os.pathsep}{two}")
    (cluster,) = chosen_clusters(RealOutside(), ["here"], [])
    assert "kubeconfig" not in cluster  # what kubectl would use
    with pytest.raises(BadInput) as refused:
        chosen_clusters(RealOutside(), ["here"], [str(one)])
    assert "names a user that is not there" in str(refused.value.mistakes[0])
    with pytest.raises(BadInput) as missing:
        chosen_clusters(RealOutside(), ["nowhere"], [str(one), str(tmp_path / "absent")])
    assert any("No such file" in str(mistake) for mistake in missing.value.mistakes)


@pytest.mark.inputs("32")
def test_the_screens_know_a_context_of_all_files_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one", config() | {"users": []})
    two = written(tmp_path / "two", {"users": config()["users"]})
    monkeypatch.setenv("KUBECONFIG", f"{one}{os.pathsep}{two}")
    draft = Draft()
    (candidate,) = draft.offer(RealOutside().contexts())
    assert draft.toggle(candidate.id) is None
    (cluster,) = draft.document()["clusters"]
    assert (cluster["context"], "kubeconfig" in cluster) == ("here", False)
