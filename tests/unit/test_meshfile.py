"""The mesh file: whatever it holds, the answer is a mesh or a list of mistakes, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wizard.errors import BadInput
from wizard.mesh.document import document_of, mesh_from, mistakes_in, put
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
from wizard.mesh.meshfile import MAX_BYTES, parse, read_meshfile, write_meshfile
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh, Verify
from wizard.mesh.rules import value_at

GOOD = """\
apiVersion: meshwizard/v1
kind: Mesh
name: mesh1
clusters:
- name: cluster1
  context: a
  network: network1
- name: cluster2
  context: b
  network: network2
  gateway:
    address: 10.0.0.2
    port: 31443
"""


def read(folder: Path, content: str | bytes) -> Mesh:
    path = folder / "mesh.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_meshfile(path)


def mistakes(folder: Path, content: str | bytes) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read(folder, content)
    return [str(mistake) for mistake in caught.value.mistakes]


# -- properties

_key = st.sampled_from(
    [*{field.key.split(".")[0] for field in MESH_FIELDS + CLUSTER_FIELDS}, "apiVersion", "kind", "clusters", "x"]
)
_scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(
    ["meshwizard/v1", "Mesh", "cluster1", "network1", "generate", "10.0.0.1", "multi-primary", 31443]
)  # fmt: skip
_plain = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_key | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)
_document = st.fixed_dictionaries(
    {"apiVersion": st.just("meshwizard/v1"), "kind": st.just("Mesh")},
    optional={"name": _plain, "clusters": _plain, "istio": _plain, "certificates": _plain, "verify": _plain},
)


@given(st.text(max_size=300) | st.text(alphabet="[]{}:-&*!<>|'\"#%@ \nabc01", max_size=200))
@example("[" * 50_000)
@example("{a: " * 20_000)
@example("- " * 20_000)
@example("a: " + "1:" * 3000 + "1")
@example("a: !!timestamp x")
@example("name: !!binary eHg=")
@example('name: "\\ud800"')
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_mesh_or_bad_input(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    check(text.encode(errors="surrogatepass"))


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"\x00")
@example(b"\xef\xbb\xbfa: 1")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_mesh_or_bad_input(content: bytes) -> None:
    check(content)


@given(_plain | _document)
@settings(max_examples=200, deadline=None)
def test_any_document_is_a_mesh_or_a_list_of_mistakes(data: Any) -> None:
    found = mistakes_in(data)
    if found:
        assert all(mistake.text for mistake in found)
    else:
        assert isinstance(mesh_from(data), Mesh)
    check(yaml.safe_dump(data, allow_unicode=True).encode(errors="surrogatepass"))


def check(content: bytes) -> None:
    try:
        data, lines = parse(content, "it")
        mesh = mesh_from(data, lines=lines)
    except BadInput as error:
        assert error.what
        count = (
            content.count(b"\n")
            + content.count(b"\r")
            + 1
            + content.count("\x85".encode())
            + content.count(b"\xe2\x80")
        )
        assert all(mistake.line is None or 1 <= mistake.line <= count + 1 for mistake in error.mistakes)
    else:
        assert isinstance(mesh, Mesh)


_label = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_path = st.none() | st.sampled_from([Path("/k/config"), Path("/k/ö"), Path("/k/a b")])
_cluster = st.builds(
    Cluster,
    name=_label,
    context=st.text(min_size=1, max_size=20, alphabet=st.characters(min_codepoint=33, max_codepoint=0x2000)).filter(
        str.strip
    ),
    network=_label,
    kubeconfig=_path,
    api_server=st.none() | st.integers(1, 254).map(lambda n: f"https://10.0.1.{n}:6443"),
    service_cidr=st.none() | st.just("10.96.0.0/16"),
    gateway=st.builds(
        Gateway,
        address=st.none() | st.integers(1, 254).map(lambda n: f"10.0.0.{n}"),
        port=st.none() | st.integers(30000, 32767),
    )
    | st.builds(Gateway, st.just("external-ips"), address=st.none() | st.integers(1, 254).map(lambda n: f"10.0.0.{n}"))
    | st.builds(Gateway, st.just("load-balancer"), address=st.none() | st.just("lb.example.com"))
    | st.builds(Gateway, st.just("cluster-ip-route"), node=st.none() | st.just("10.0.2.1")),
    sample=st.none() | st.integers(1, 9).map(lambda n: f"v{n}"),
)


def _unique(clusters: tuple[Cluster, ...]) -> bool:
    rows = [(each.name, each.context, each.api_server, each.gateway.address, each.sample) for each in clusters]
    columns = [[value for value in column if value is not None] for column in zip(*rows, strict=True)]
    return all(len(set(column)) == len(column) for column in columns)


@st.composite
def _roles(draw: st.DrawFn) -> dict[str, Any]:
    """Clusters and a topology that fits them: remotes only where it is primary-remote, each with its primary."""
    clusters = draw(st.lists(_cluster, min_size=2, max_size=4).map(tuple).filter(_unique))
    served = draw(st.integers(0, len(clusters) - 1))
    primaries = clusters[: len(clusters) - served]
    remotes = tuple(
        replace(cluster, role="remote", primary=draw(st.sampled_from(primaries)).name, discovery="10.0.9.9")
        for cluster in clusters[len(clusters) - served :]
    )
    return {"clusters": primaries + remotes, "topology": "primary-remote" if served else "multi-primary"}


def _mesh_of(roles: dict[str, Any], **others: Any) -> Mesh:
    return Mesh(**roles, **others)


_mesh = st.builds(
    _mesh_of,
    roles=_roles(),
    name=_label,
    trust_domain=_label,
    istio=st.builds(
        Istio,
        version=st.none() | st.just("1.29.1"),
        revision=st.none() | st.just("canary"),
        hub=st.sampled_from(["docker.io/istio", "reg:5000/x"]),
        image_pull_policy=st.sampled_from(["IfNotPresent", "Always", "Never"]),
        pull_secret=st.just("registry"),
        pull_secret_file=st.none() | st.just(Path("/k/config.json")),
        overlays=st.lists(st.sampled_from([Path("/o/a.yaml"), Path("/o/b.yaml")])).map(tuple),
    ),
    certificates=st.builds(Certificates, source=st.sampled_from(["generate", "existing"]), path=_path)
    | st.builds(Certificates, source=st.sampled_from(["directory", "offline"]), path=st.just(Path("/k/certificates"))),
    verify=st.builds(
        Verify,
        namespace=st.just("sample"),
        curl_image=st.none() | st.just("curlimages/curl:8"),
        probes=st.sampled_from(["before", "never"]),
    ),
)


@given(_mesh)
@settings(max_examples=150, deadline=None)
def test_a_mesh_survives_document_and_file(mesh: Mesh) -> None:
    assert mistakes_in(document_of(mesh)) == ()
    assert mesh_from(document_of(mesh)) == mesh
    data, lines = parse(write_meshfile(mesh).encode(), "it")
    assert mesh_from(data, lines=lines) == mesh


# -- cases


def test_the_smallest_mesh_file(tmp_path: Path) -> None:
    mesh = read(tmp_path, GOOD)
    assert mesh.topology == "multi-primary"
    assert mesh.cluster("cluster2").gateway == Gateway("node-port", "10.0.0.2", 31443)


def test_paths_are_taken_from_the_file(tmp_path: Path) -> None:
    text = (
        GOOD.replace("context: a", "context: a\n  kubeconfig: multiconf")
        + "istio: {overlays: [extra.yaml, /abs.yaml]}\n"
    )
    mesh = read(tmp_path, text)
    assert mesh.clusters[0].kubeconfig == tmp_path / "multiconf"
    assert mesh.istio.overlays == (tmp_path / "extra.yaml", Path("/abs.yaml"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("name: mesh1", "name: Mesh_1"), "line 3: name: 'Mesh_1' is no DNS label"),
        (("name: mesh1", "name: 1"), "line 3: name: must be text, not the number 1"),
        (("name: mesh1", "name: yes"), "line 3: name: must be text, not the truth value true"),
        (("name: mesh1", "nmae: mesh1"), "line 3: nmae: unknown key"),
        (("kind: Mesh", "kind: Mess"), "line 2: kind: must be Mesh"),
        (("name: cluster2", "name: cluster1"), "line 8: clusters[1].name: 'cluster1' is used twice"),
        (("context: b", "context: a"), "line 9: clusters[1].context: 'a' is the context of cluster 1"),
        (("port: 31443", "port: 70000"), "line 13: clusters[1].gateway.port: 70000 is no port"),
        (("port: 31443", "prot: 31443"), "line 13: clusters[1].gateway.prot: unknown key"),
        (("address: 10.0.0.2", "address: 127.0.0.1"), "line 12: clusters[1].gateway.address: 127.0.0.1 cannot be reached"),
        (("  context: b\n", ""), "line 8: clusters[1].context: an answer is required"),
        (("name: mesh1", "name: mesh1\nname: mesh2"), "line 4: name: this key stands twice"),
        (("name: mesh1", "name: &x mesh1\ntrustDomain: *x"), "line 3: trustDomain: aliases"),
        (("name: mesh1", "topology: primary-remote"), "line 3: topology: primary-remote needs at least one cluster"),
        (("context: b", "context: b\n  role: remote"), "line 10: clusters[1].role: a remote needs topology: primary-remote"),
        (("port: 31443", "exposure: host"), "line 13: clusters[1].gateway.exposure: 'host' is none of node-port"),
        (("- name: cluster1", "- cluster1\n- name: cluster1"), "line 5: clusters[0]: must be a mapping"),
    ],
)  # fmt: skip
def test_every_mistake_names_its_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert any(line.startswith(said) for line in mistakes(tmp_path, GOOD.replace(*change)))


@pytest.mark.parametrize("content", ["", "---\n", "# only a comment\n", "just text", "- a", "a: [", "clusters: 1"])
def test_what_is_no_mesh_at_all(tmp_path: Path, content: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, content)
    assert "mesh.yaml" in caught.value.what


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", Path("/dev/null")):
        with pytest.raises(BadInput):
            read_meshfile(path)
    giant = tmp_path / "giant"
    with giant.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(BadInput, match="larger"):
        read_meshfile(giant)


@given(st.lists(st.tuples(st.sampled_from(["a", "a.b", "c.d", "c.e"]), st.none() | st.integers()), max_size=12))
def test_put_and_value_at_agree(steps: list[tuple[str, int | None]]) -> None:
    data: dict[str, Any] = {}
    for key, value in steps:
        if key.startswith("a") and isinstance(data.get("a"), int) and key == "a.b":
            continue  # no document has a key that is both
        if key == "a" and isinstance(data.get("a"), dict):
            continue
        put(data, key, value)
        assert value_at(data, key) == value
    assert {} not in data.values()


@pytest.mark.inputs("47")
@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        (b"name: a\nclusters:\n\t- name: b\n", 3, "tab"),
        (b"name: a\r\nistio:\r\n\ttag: b\r\n", 3, "tab"),
        (b"name: a\ntrustDomain: caf\xe9\n", 2, "byte 0xE9 is not UTF-8"),
        (b"\xff\xfen\x00:\x00\x00\xd8", 1, "UTF-8"),
        ("name: a\n\u00a0trustDomain: b\n".encode(), 2, "U+00A0 (no-break space)"),
        ("name: a\ntrustDomain: b\u3000\n".encode(), 2, "U+3000 (ideographic space)"),
        ("name: a\nclusters:\n- na\u200bme: b\n".encode(), 3, "U+200B (zero width space)"),
        (b"name: a\ntrustDomain: b\x07\n", 2, "U+0007 (a control character)"),
    ],
)
def test_a_character_that_nobody_sees_is_named_with_its_line(
    tmp_path: Path, content: bytes, line: int, said: str
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_bytes(content)
    with pytest.raises(BadInput) as told:
        read_meshfile(file)
    assert [(mistake.line, said in mistake.text) for mistake in told.value.mistakes] == [(line, True)]


@pytest.mark.inputs("47")
def test_what_stands_between_quotes_or_in_a_comment_is_meant(tmp_path: Path) -> None:
    data, _ = parse("# a\u00a0b\ncontext: 'blank\u00a0'\nother: in\u00a0between\n".encode(), "it")
    assert data == {"context": "blank\u00a0", "other": "in\u00a0between"}
