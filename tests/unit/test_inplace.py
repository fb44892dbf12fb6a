"""A mesh saved over a mesh file: what is not changed stays as it is written, what is changed is the mesh that was saved."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.test_meshfile import GOOD, _mesh
from wizard.errors import BadInput
from wizard.mesh import inplace, schema
from wizard.mesh.document import document_of, mesh_from
from wizard.mesh.inplace import rewritten, text_for
from wizard.mesh.meshfile import parse, write_meshfile
from wizard.mesh.model import Cluster, Gateway, Mesh
from wizard.mesh.tolerations import Toleration

BASE = Path("/m")
FILE = """\
# The mesh of the shop.
# Ask Ada before you change it.

apiVersion: meshwizard/v1   # the only one
kind:   Mesh
name:   "mesh1"             # quoted

istio:
    hub: docker.io/istio
    overlays:
      # for all
      - a.yaml      # A

      # for some
      - b.yaml      # B
# about the clusters
clusters:
  # the first
  - name: cluster1      # the old one
    context:   a
    kubeconfig: 'multiconf'
    network: network1
    gateway: {address: 10.0.0.2,  port: 31443}

    # behind the first
  # the second
  - name: 'cluster2'  # eol
    context: b
    # inside
    network: network2
    gateway:
        annotations: {a/b: "1"}   # notes
# the end
"""


def read(text: str) -> Mesh:
    return mesh_from(parse(text.encode(), "it")[0], base=BASE)


MESH = read(FILE)
ONE, TWO = MESH.clusters
THREE = Cluster("cluster3", "yes", "network1")


def saved(mesh: Mesh, over: str = FILE) -> list[str]:
    """What changes of the file, as lines that go and come; the rest is the same to the byte."""
    text = rewritten(over.encode(), mesh, BASE)
    assert text is not None
    assert document_of(read(text)) == document_of(mesh_from(document_of(mesh), base=BASE))
    return [line for line in difflib.ndiff(over.split("\n"), text.split("\n")) if line[0] in "+-"]


def one(**changes: Any) -> Mesh:
    return replace(MESH, clusters=(replace(ONE, **changes), TWO))


def test_what_is_the_same_is_the_same_to_the_byte() -> None:
    assert saved(MESH) == []


@pytest.mark.parametrize(
    ("mesh", "changed"),
    [
        (replace(MESH, name="other"), ['- name:   "mesh1"             # quoted', '+ name: "other"               # quoted']),
        (replace(MESH, trust_domain="td"), ["+ trustDomain: td"]),
        (replace(MESH, istio=replace(MESH.istio, version="1.29.1")), ["+     version: '1.29.1'"]),
        (replace(MESH, certificates=replace(MESH.certificates, source="existing")),
         ["+ certificates:", "+     source: existing"]),
        (replace(MESH, istio=replace(MESH.istio, overlays=(BASE / "b.yaml", Path("/c.yaml")))),
         ["-       - a.yaml      # A", "- ", "+       - /c.yaml"]),
        (replace(MESH, istio=replace(MESH.istio, overlays=())),
         ["-     overlays:", "-       - a.yaml      # A", "- ", "-       - b.yaml      # B"]),
        (replace(MESH, tolerations=(Toleration("a", "Exists"),)),
         ["+ tolerations:", "+   - key: a", "+     operator: Exists"]),
        (one(name="other"), ["-   - name: cluster1      # the old one", "+   - name: other         # the old one"]),
        (one(network="other"), ["-     network: network1", "+     network: other"]),
        (one(api_server="https://10.0.0.1:6443"), ["+     apiServer: https://10.0.0.1:6443"]),
        (one(kubeconfig=Path("/k")), ["-     kubeconfig: 'multiconf'", "+     kubeconfig: '/k'"]),
        (one(kubeconfig=None), ["-     kubeconfig: 'multiconf'"]),
        (one(gateway=replace(ONE.gateway, port=32000)),
         ["-     gateway: {address: 10.0.0.2,  port: 31443}", "+     gateway: {address: 10.0.0.2, port: 32000}"]),
        (one(gateway=Gateway()), ["-     gateway: {address: 10.0.0.2,  port: 31443}"]),
        (replace(MESH, clusters=(ONE, replace(TWO, gateway=replace(TWO.gateway, annotations=(("a/b", "no"),))))),
         ['-         annotations: {a/b: "1"}   # notes', '+         annotations: {a/b: "no"}  # notes']),
    ],
)  # fmt: skip
def test_one_change_is_one_change(mesh: Mesh, changed: list[str]) -> None:
    assert [line for line in saved(mesh) if not line.startswith("?")] == changed


@pytest.mark.parametrize(
    "clusters",
    [
        (ONE, TWO, THREE), (THREE, ONE, TWO), (ONE, THREE, TWO), (ONE, THREE), (THREE, TWO), (TWO, ONE),
        (THREE, replace(THREE, name="cluster4", context="d")),
    ],
)  # fmt: skip
def test_clusters_come_and_go_and_comments_on_their_own_lines_stay(clusters: tuple[Cluster, ...]) -> None:
    text = rewritten(FILE.encode(), replace(MESH, clusters=clusters), BASE)
    assert text is not None
    assert document_of(read(text)) == document_of(replace(MESH, clusters=clusters))
    for line in filter(None, map(str.strip, FILE.split("\n"))):
        if line.startswith("#"):
            assert text.count(line) == 1, line
    assert ("# the old one" in text) == (ONE in clusters)
    assert ("name: 'cluster2'  # eol" in text) == (TWO in clusters)
    assert text.startswith(FILE[: FILE.index("clusters:\n")])
    assert text.endswith("# the end\n")


def test_a_cluster_that_joins_stands_behind_the_others_and_before_what_is_told_at_the_end() -> None:
    assert saved(replace(MESH, clusters=(ONE, TWO, THREE))) == [
        "+   - name: cluster3",
        "+     context: 'yes'",
        "+     network: network1",
        "+     role: primary",
        "+     gateway:",
        "+         exposure: node-port",
    ]


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize("start", ["", "---\n", "# yaml-language-server: $schema=mine.json\n"])
def test_line_endings_and_what_stands_in_front_stay(ending: str, start: str) -> None:
    old = (start + FILE).replace("\n", ending)
    new = rewritten(old.encode(), replace(MESH, trust_domain="td"), BASE)
    assert new == old.replace("# quoted" + ending, f"# quoted{ending}trustDomain: td{ending}")


def test_json_and_one_line_stay_what_they_are() -> None:
    text = (
        '{"apiVersion": "meshwizard/v1", "kind": "Mesh", "clusters": [{"name": "a", "context": "b", "network": "c"}, '
    )
    text += '{"name": "d", "context": "e", "network": "f"}]}\n'
    mesh = read(text)
    done = rewritten(text.encode(), replace(mesh, clusters=(*mesh.clusters, THREE)), BASE)
    assert done is not None
    assert done.startswith(text[: text.index("]")])
    assert len(read(done).clusters) == 3


def test_a_relative_path_means_what_it_will_when_the_file_is_read() -> None:
    assert saved(one(kubeconfig=Path("multiconf"))) == []


def test_the_entries_of_a_list_keep_their_comments() -> None:
    old = FILE + "tolerations:   # t\n  - key: a   # A\n    operator: Exists\n  - key: b   # B\n    operator: Exists\n"
    mesh = read(old)
    first, second = mesh.tolerations
    assert saved(replace(mesh, tolerations=(second,)), old) == ["-   - key: a   # A", "-     operator: Exists"]
    assert saved(replace(mesh, tolerations=(second, replace(first, effect="NoExecute"))), old) == [
        "-   - key: a   # A",
        "-     operator: Exists",
        "+   - key: a",
        "+     operator: Exists",
        "+     effect: NoExecute",
    ]
    assert len(saved(replace(mesh, tolerations=()), old)) == 5


def test_where_the_library_breaks_a_list_nothing_broken_is_saved() -> None:
    # ruamel.yaml 0.19.1 forgets a line's end between a mapping in braces and one on lines, where all have comments.
    old = FILE + "tolerations:  # t\n  - {key: b, operator: Exists}  # B\n  - key: a\n    operator: Exists\n"
    done = rewritten(old.encode(), replace(read(old), name="other"), BASE)
    assert done is None or document_of(read(done)) == document_of(replace(read(old), name="other"))


def test_an_anchor_stays() -> None:
    assert saved(replace(MESH, trust_domain="td"), FILE.replace('"mesh1"  ', '&x "mesh1"')) == ["+ trustDomain: td"]


@pytest.mark.parametrize(
    "content",
    [
        b"mine",
        b"",
        b"\xff\xff",
        b"a: [",
        b"# only a comment\n",
        b"[" * 50_000,
        GOOD.replace("name: mesh1", "nmae: mesh1").encode(),
        GOOD.replace("name: mesh1", "name: &x mesh1\ntrustDomain: *x").encode(),
        (GOOD + "# " + "x" * inplace.MAX_BYTES + "\n").encode(),
    ],
    ids=["text", "empty", "binary", "torn", "comment", "deep", "mistake", "alias", "huge"],
)
def test_what_cannot_be_changed_is_replaced_and_said_to_be(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_bytes(content)
    assert rewritten(content, MESH, tmp_path) is None
    assert text_for(file, MESH) == (write_meshfile(MESH), False)
    assert file.read_bytes() == content


def test_a_new_file_and_what_is_no_file_get_the_whole_mesh(tmp_path: Path) -> None:
    assert text_for(tmp_path / "new.yaml", MESH) == (write_meshfile(MESH), True)
    assert text_for(Path("/dev/null"), MESH) == (write_meshfile(MESH), False)


def test_as_many_clusters_as_there_may_be_can_be_changed(tmp_path: Path) -> None:
    clusters = tuple(
        Cluster(f"cluster{n}", f"admin{n}@kubernetes", f"network{n}", Path(f"/home/somebody/.kube/config-{n}"),
                gateway=Gateway(address=f"10.0.{n}.1", port=31443), api_server=f"https://10.1.{n}.1:6443")
        for n in range(200)
    )  # fmt: skip
    file = tmp_path / "mesh.yaml"
    file.write_text("# all\n" + write_meshfile(replace(MESH, clusters=clusters)))
    text, kept = text_for(file, replace(MESH, clusters=clusters[1:]))
    assert kept
    assert text.startswith("# all\n")


def test_the_library_may_fail_and_the_file_is_then_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[str, str]:
        raise AttributeError("'NoneType' object has no attribute 'ca'")

    monkeypatch.setattr(inplace, "_by_ruamel", broken)
    assert rewritten(FILE.encode(), replace(MESH, name="x"), BASE) is None


def test_what_would_lose_a_comment_or_mean_something_else_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (write_meshfile(replace(MESH, name="x")), FILE):
        monkeypatch.setattr(inplace, "merged", lambda *_, wrong=wrong: wrong)
        assert rewritten(FILE.encode(), replace(MESH, name="x"), BASE) is None


def test_a_new_file_names_its_schema() -> None:
    heading = write_meshfile(MESH).split("\n")[1]
    assert heading == f"# yaml-language-server: $schema={schema.FILE.as_uri()}"


@given(_mesh, _mesh, st.lists(st.integers(0, 60), max_size=6, unique=True), st.booleans(), st.booleans())
@example(MESH, replace(MESH, clusters=(TWO, THREE)), [0, 3, 9], True, False)
@settings(max_examples=40, deadline=None)
def test_any_mesh_over_any_other(old: Mesh, new: Mesh, places: list[int], indented: bool, flow: bool) -> None:
    document = document_of(old)
    text = yaml.dump(document, Dumper=_Indented if indented else yaml.SafeDumper, sort_keys=False, allow_unicode=True,
                     default_flow_style=None if flow else False, width=1 << 20)  # fmt: skip
    lines = text.split("\n")[:-1]
    for number, place in enumerate(places):
        at = min(place, len(lines))
        depth = len(lines[at]) - len(lines[at].lstrip()) if at < len(lines) else 0
        lines.insert(at, f"{' ' * depth}# comment {number}")
    text = "\n".join(lines) + "\n"
    try:
        if document_of(read(text)) != document:  # the dumper broke a line, and a comment stands in a text
            return
    except BadInput:  # it leaves blanks at the ends of a text without quotes
        return
    done = rewritten(text.encode(), new, BASE)
    if done is None:
        assert old != new
        return
    assert document_of(read(done)) == document_of(new)
    assert not Counter(line.strip() for line in lines if "# comment" in line) - Counter(
        map(str.strip, done.split("\n"))
    )


class _Indented(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
