"""YAML that comes from anywhere: read, or refused; it neither ends the process nor fills its memory."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.yaml_readers import taken_for
from wizard import yamltext
from wizard.clusters.kubeconfig_merge import merge
from wizard.errors import BadInput
from wizard.istio.operator import operator_yaml
from wizard.mesh.meshfile import read_meshfile, write_meshfile
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh
from wizard.text import harmless

ENDLESS = {
    "brackets": "[" * 1_000_000,
    "braces": "{a: " * 300_000,
    "dashes": "- " * 500_000,
    "questions": "? " * 500_000,
}


def bomb(width: int = 10, levels: int = 9) -> str:
    """A few lines that are a thousand million values."""
    lines = [f"a0: &a0 [{', '.join('x' * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_what_is_nested_without_end_is_refused(text: str, tmp_path: Path) -> None:
    for load in (yamltext.load, yamltext.load_all):
        with pytest.raises(yaml.YAMLError, match="nested more than"):
            load(text)
    file = tmp_path / "mesh.yaml"
    file.write_text(text[:200_000])
    with pytest.raises(BadInput) as told:
        read_meshfile(file)
    (mistake,) = told.value.mistakes
    assert "nested more than" in mistake.text
    assert mistake.line == 1


def test_what_stands_before_allows_no_deeper_nesting() -> None:
    wide = "1, " * 2 * yamltext.DEEPEST
    deep = "[" * yamltext.DEEPEST + "]" * yamltext.DEEPEST
    with pytest.raises(yaml.YAMLError, match="nested more than"):
        yamltext.load(f"[{wide}{deep}]")
    assert len(yamltext.load(f"[{wide}{deep[1:-1]}]")) == 2 * yamltext.DEEPEST + 1


@pytest.mark.parametrize(
    ("most", "more"), [("[1, 2, [3, 4]]", "[1, 2, [3, 4, 5]]"), ("{a: [1, 2, 3], b: 4}", "{a: [1, 2, 3], b: [4]}")]
)
def test_as_many_values_as_allowed_are_read(most: str, more: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamltext, "MOST", 6)
    assert yamltext.load(most) == yaml.safe_load(most)
    for load in (yamltext.load, yamltext.load_all):
        with pytest.raises(yaml.YAMLError, match="more than 6 values"):
            load(more)


@pytest.mark.parametrize("text", ["2026-99-99", "a: 2026-02-30 25:61:61"])
def test_a_date_that_is_none_is_refused_as_all_that_cannot_be_read(text: str) -> None:
    for load in (yamltext.load, yamltext.load_all):
        with pytest.raises(yaml.YAMLError, match="cannot be read: ValueError"):
            load(text)


def test_what_is_written_reads_well() -> None:
    shared = {"b": "cluster1", "a": "München", "c": f"{'word ' * 19}word"}
    once = f"b: cluster1\n  a: München\n  c: {shared['c']}\n"
    assert yamltext.dump({"two": shared, "one": shared}) == f"two:\n  {once}one:\n  {once}"


def test_what_a_terminal_obeys_is_written_as_escapes() -> None:
    for each in ("\u202e", "\u200b", "\x1b", "\x85"):
        text = yamltext.dump({"ä": f"a{each}b"})
        assert harmless(text)
        assert yamltext.load(text) == {"ä": f"a{each}b"}


@pytest.mark.parametrize("text", [bomb(), "&a [*a]", "&a {a: *a}"])
def test_what_aliases_make_of_a_few_lines_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match=r"more than \d+ values"):
        yamltext.load(text)


def test_what_is_as_deep_as_allowed_is_read() -> None:
    deep = yamltext.load("[" * yamltext.DEEPEST + "]" * yamltext.DEEPEST)
    for _ in range(yamltext.DEEPEST - 1):
        (deep,) = deep
    assert deep == []
    assert yamltext.load_all("a: &x {b: 1}\nc: *x\n---\n- 2\n") == [{"a": {"b": 1}, "c": {"b": 1}}, [2]]


NAMES = [
    "0815",
    "7e12",
    "4e12",
    "25921e05",
    "n",
    "y",
    "N",
    "on",
    "Off",
    "yes",
    "true",
    "NULL",
    "1e3",
    "0x1F",
    "0o17",
    "0b1",
    "0o",
]
DOUBTFUL = [
    *NAMES, "-0b1", "1_000", "1__0", ".5", "5.", "+1", "-1", "~", "null", "2026-01-31", "2026-1-1 1:2:3", "12:30:45",
    "190:20:30.15", "=", "<<", ".inf", "-.INF", ".NaN", "1.2.3", "...", "#", "*a", "&a", "!a", "%a", "@a", "`a", "'", '"', "x'",
    "[", "{{a}}", "", " x", "x ", "a: b", "a #b", "- x", "--- x", "a\nb", "\n", "\x7f", "\x85", "\u2028", "\ufeff", "\u202e",
    "\x00", "\U0001f600", "a" * 300, "a " * 200,
]  # fmt: skip
_bare = st.from_regex(r"[-+.]?[0-9a-fxobEeyYnNtT_:.~=<TZ -]{0,12}", fullmatch=True)
_texts = st.sampled_from(DOUBTFUL) | _bare | st.text(max_size=8)


def scalars(node: yaml.Node | None) -> list[yaml.ScalarNode]:
    """Every scalar of a document, keys first."""
    if isinstance(node, yaml.MappingNode):
        return [each for pair in node.value for part in pair for each in scalars(part)]
    if isinstance(node, yaml.SequenceNode):
        return [each for part in node.value for each in scalars(part)]
    return [node] if isinstance(node, yaml.ScalarNode) else []


def misread(text: str) -> list[tuple[str, str]]:
    """The bare words in this YAML that stand for text, and that a reader takes for something else."""
    wrong = []
    for document in yaml.compose_all(text, Loader=yaml.SafeLoader):
        for node in scalars(document):
            if node.style is None and node.tag == "tag:yaml.org,2002:str":
                wrong += [(node.value, kind) for kind in taken_for(node.value)]
    return wrong


@given(_texts, _texts)
@example("0815", "7e12")
@example("n", "y")
@pytest.mark.inputs("24")
def test_every_string_is_read_back_as_that_string(key: str, value: str) -> None:
    document = {key: [value, {value: key}], "number": 7, "truth": True, "none": None}
    text = yamltext.dump(document, document)
    assert yamltext.load_all(text) == [document, document]
    assert misread(text) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.inputs("24")
def test_no_name_in_what_istioctl_and_a_person_get_becomes_a_number(name: str) -> None:
    cluster = Cluster(
        name, name, name, gateway=Gateway("node-port", "10.0.0.1", 31443), api_server="https://10.0.0.1:6443"
    )
    mesh = Mesh(
        name, (cluster, replace(cluster, name="other", context="other")), istio=Istio(version="1.29.1", revision=name)
    )
    for text in (write_meshfile(mesh), operator_yaml(mesh, mesh.clusters[0])):
        assert misread(text) == []


def kubeconfig(path: Path, name: str) -> Path:
    """A kubeconfig in which everything has that name."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": "https://10.0.0.1:6443", "tls-server-name": name}}],
        "users": [{"name": name, "user": {"username": name, "password": name}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": name}}],
    }
    path.write_text(json.dumps(content))  # JSON is YAML in which there is no doubt
    return path


@pytest.mark.parametrize("name", ["0815", "7e12", "25921e05", "n", "y", "1e3", "0x1F", "12:30:45", "~"])
@pytest.mark.inputs("24")
def test_a_merged_kubeconfig_keeps_its_names(tmp_path: Path, name: str) -> None:
    text = merge([kubeconfig(tmp_path / "a", name), kubeconfig(tmp_path / "b", "other")]).text
    assert misread(text) == []
    if kubectl := shutil.which("kubectl"):
        (tmp_path / "merged").write_text(text)
        done = subprocess.run(
            [kubectl, "config", "view", "--raw", "-o", "json", f"--kubeconfig={tmp_path / 'merged'}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        read = json.loads(done.stdout)
        assert read["current-context"] == name
        assert name in {each["name"] for each in read["contexts"]}
        assert {"username": name, "password": name} in [each["user"] for each in read["users"]]
