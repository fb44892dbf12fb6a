"""Whatever a name, a path or an address holds, nothing of it is a command, in the exported script and in what is printed."""

from __future__ import annotations

import dataclasses
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.test_runbook import HOSTILE
from wizard.clusters import typed
from wizard.clusters.answers import Asked, refusal
from wizard.clusters.login import chosen
from wizard.clusters.wire import Answer
from wizard.errors import BadInput
from wizard.mesh.addresses import is_ip, range_of
from wizard.mesh.document import mesh_from
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh, Verify
from wizard.mesh.tolerations import Toleration
from wizard.objects.ownership import way_out
from wizard.plan import plan_of
from wizard.runbook import render
from wizard.text import harmless, here_document, quoted

PIECES = [
    *HOSTILE, "touch pwned", ": > pwned", "\n", "\n#", "\nEOF\n", "EOF", "EOF_", "'", '"', "\\", "`", "$", "$(", ")", "${", "}",
    "#", ";", "&", "|", "<", ">", "<<", "*", "?", "~", "!", "=", "%", "/", "-", " ", "\t", "\r", "\x1b[2J", "\u2028", "\u202e",
    "\u00ad", "é", "fe80::1%x\ntouch pwned\n#", "'$'", "]]", "{{", ",", ":", "|e", "root", "x",
]  # fmt: skip
_hostile = st.sampled_from(HOSTILE) | st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
_paths = (
    st.tuples(_hostile, st.sampled_from(["", "\udcff"])).map("".join).map(Path)
)  # the latter: a byte that is no UTF-8
# What a plan branches on; everything else may be any text.
CHOICES = {
    "topology": ["multi-primary", "primary-remote"],
    "exposure": ["node-port", "external-ips", "load-balancer", "cluster-ip-route"],
    "source": ["generate", "existing", "directory", "offline"],
    "image_pull_policy": ["IfNotPresent"],
    "probes": ["before", "never"],
}
INTEGERS = {"port": 31443, "seconds": 30}


def _hostile_one(kind: type, draw: Callable[..., Any], **given_: Any) -> Any:
    """One of these, with a hostile text in every field that is not given."""
    values = dict(given_)
    for name, hint in get_type_hints(kind).items():
        if name in values:
            continue
        if name in CHOICES:
            values[name] = draw(st.sampled_from(CHOICES[name]))
        elif name in INTEGERS:
            values[name] = INTEGERS[name]
        elif hint in (str, str | None):
            values[name] = draw(_hostile)
        elif hint == Path | None:
            values[name] = draw(_paths)
        elif hint == tuple[str, ...]:
            values[name] = (draw(_hostile),)
        elif hint == tuple[Path, ...]:
            values[name] = (draw(_paths),)
        elif hint == tuple[tuple[str, str], ...]:
            values[name] = ((draw(_hostile), draw(_hostile)),)
        elif hint == tuple[Toleration, ...]:
            values[name] = (_hostile_one(Toleration, draw),)
        else:
            raise AssertionError(f"what is hostile in {kind.__name__}.{name}, a {hint}?")
    return kind(**values)


@st.composite
def meshes(draw: Callable[..., Any]) -> Mesh:
    """Two or three clusters of any topology, hostile in every field of every part."""
    topology = draw(st.sampled_from(CHOICES["topology"]))
    names = [f"{draw(_hostile)}{number}" for number in range(draw(st.integers(2, 3)))]
    clusters = []
    for number, name in enumerate(names):
        remote = topology == "primary-remote" and number == len(names) - 1
        address: dict[str, Any] = draw(st.sampled_from([{}, {"address": None}]))
        discovery: dict[str, Any] = draw(st.sampled_from([{}, {"discovery": None}])) if remote else {"discovery": None}
        clusters.append(
            _hostile_one(
                Cluster, draw, name=name, role="remote" if remote else "primary", primary=names[0] if remote else None,
                gateway=_hostile_one(Gateway, draw, **address), **discovery,
            )
        )  # fmt: skip
    parts = {"istio": Istio, "certificates": Certificates, "verify": Verify}
    made = {name: _hostile_one(kind, draw) for name, kind in parts.items()}
    made["istio"] = dataclasses.replace(made["istio"], version=draw(st.sampled_from(["1.29.1", "1.9.2"]) | _hostile))
    return _hostile_one(Mesh, draw, clusters=tuple(clusters), topology=topology, **made)


# Each notes that it ran. What a hostile text would run is not among them; what reads its input ends with it.
TOOLS = {
    "kubectl": 'case "$*" in *" exec "*) echo "Hello version: v1, instance: a";; *ingress*) echo 10.0.0.9;; esac\n',
    "istioctl": "",
    "openssl": "",
    "make": "",
    "sleep": "",
    "seq": "echo 1\n",
}
ALLOWED = {"mkdir", "chmod", "cat", "cp", "sed", "sort", "wc", "grep", "sha256sum", "sh"}
BUILT_IN = {
    "set",
    "umask",
    "command",
    "echo",
    "printf",
    "exit",
    "say",
    "for",
    "case",
    "[",
    "[[",
    "cd",
    "break",
    ".",
    "true",
    "return",
}
OURS = re.compile(r"(roots|root|chain|discovery|answers|missing|folder|gone)=")
PRELUDE = """\
exit() { return 0; }  # so that all of the script is seen
command_not_found_handle() { printf '%s\\0' "$1" >> "$UNKNOWN"; return 127; }
set -o functrace
trap 'printf "%s\\0" "$BASH_COMMAND" >> "$COMMANDS"' DEBUG
. ./runbook.sh
"""


def executed(folder: Path, script: str) -> list[str]:
    """The first words of all that bash ran of this script, in an empty folder, where only our tools are to be had."""
    tools, work = folder / "bin", folder / "work"
    for each in (tools, work):
        each.mkdir()
    for name, body in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}[ -t 0 ] || cat > /dev/null\n")
        (tools / name).chmod(stat.S_IRWXU)
    for name in ALLOWED:
        (tools / name).symlink_to(shutil.which(name) or "/nonexistent")
    script = script.replace("set -euo pipefail", "set +e")
    (work / "runbook.sh").write_bytes(script.encode(errors="surrogateescape"))
    (folder / "prelude").write_text(PRELUDE)
    environment = {
        "PATH": str(tools),
        "COMMANDS": str(folder / "commands"),
        "UNKNOWN": str(folder / "unknown"),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [shutil.which("bash") or "bash", str(folder / "prelude")], cwd=work, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert b"syntax error" not in done.stderr, done.stderr
    unknown = folder / "unknown"
    assert not unknown.exists(), unknown.read_bytes()
    commands = (folder / "commands").read_bytes().decode(errors="replace").split("\0")
    return [words[0] for each in commands if (words := each.split())]


needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


@needs_bash
@settings(deadline=None, max_examples=25)
@given(meshes())
@pytest.mark.inputs("S1", "44")
def test_nothing_foreign_runs_in_the_exported_script(mesh: Mesh) -> None:
    script = render(mesh, plan_of(mesh))
    with TemporaryDirectory() as place:
        folder = Path(place)
        words = executed(folder, script)
        assert not list(folder.rglob("pwned"))
    strange = {word for word in words if word not in {*TOOLS, *ALLOWED, *BUILT_IN} and not OURS.match(word)}
    assert not strange
    assert {"kubectl", "istioctl"} <= set(words), "or the script was not run"


@needs_bash
@pytest.mark.inputs("S1")
def test_the_trap_notices_a_command_that_is_not_ours(tmp_path: Path) -> None:
    assert "whoami" in executed_or_unknown(tmp_path / "a", "true\nwhoami\n")
    assert ":" in executed_or_unknown(tmp_path / "b", "echo 'x' $(: > pwned)\n")
    assert list(tmp_path.rglob("pwned"))


def executed_or_unknown(folder: Path, script: str) -> list[str]:
    folder.mkdir()
    try:
        return executed(folder, script)
    except AssertionError:
        return (folder / "unknown").read_text().split("\0")


@needs_bash
@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        _hostile | st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
        min_size=1,
        max_size=20,
    )
)
@example(["\n", "\t", "a\nb", "-", ""])
def test_a_quoted_word_is_that_word_on_one_line(words: list[str]) -> None:
    line = "printf '%s\\0' " + " ".join(map(quoted, words))
    assert len(line.splitlines()) == 1
    assert harmless(line)
    said = subprocess.run(
        [b"bash", b"-c", line.encode(errors="surrogateescape")], capture_output=True, check=True
    ).stdout
    assert said.decode(errors="surrogateescape").split("\0")[:-1] == words


@needs_bash
@pytest.mark.parametrize("text", ["EOF\n", "a\nEOF\ntouch pwned\n", "EOF\nEOF_\n$(touch pwned)`x`\\\n", "\n"])
def test_a_here_document_is_its_text(text: str, tmp_path: Path) -> None:
    script = here_document("cat", text, " | cat")
    assert (
        subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=True, text=True).stdout == text
    )
    assert not list(tmp_path.iterdir())


@dataclasses.dataclass(frozen=True)
class Place:
    context: str
    kubeconfig: Path | None = None


@pytest.mark.inputs("44", "S11")
def test_a_printed_command_names_its_context_and_its_file() -> None:
    assert typed.kubectl(Place("admin@k")) == "kubectl --context=admin@k"
    assert typed.kubectl(Place("prod (eu) cluster", Path("/k/my config"))) == (
        "kubectl --kubeconfig='/k/my config' --context='prod (eu) cluster'"
    )
    at = Place("a;b", Path("/k"))
    assert typed.istioctl(at, "remote-clusters") == "istioctl remote-clusters --kubeconfig=/k --context='a;b'"


@pytest.mark.inputs("S11")
def test_a_refusal_tells_a_command_that_can_be_pasted() -> None:
    asked = Asked("east", "$(touch pwned) (eu)", Path("/k/a b"), "https://10.0.0.1", "get it")
    told = refusal(asked, Answer(401, {}, b'{"kind": "Status", "message": "Unauthorized"}', 0.1))
    assert "`kubectl --kubeconfig='/k/a b' --context='$(touch pwned) (eu)' auth whoami`" in told.remedy
    with pytest.raises(BadInput) as unusable:
        chosen("east", Path("/k/a b;c"), "x")
    assert "`kubectl --kubeconfig='/k/a b;c' config get-contexts`" in unusable.value.remedy


SOURCES = [
    path for room in ("wizard", "screens", "state") for path in Path(__file__).parents[2].joinpath(room).rglob("*.py")
]


@pytest.mark.inputs("S11")
def test_one_module_quotes_and_one_writes_kubectl_for_a_cluster() -> None:
    assert [path.name for path in SOURCES if "shlex" in path.read_text()] == ["text.py"]
    assert [path.name for path in SOURCES if re.search(r"--context[ =]\{", path.read_text())] == ["typed.py"]
    real = [path for path in SOURCES if path.parent.name != "simulated"]  # whose own addresses nobody typed
    assert [path.name for path in real if re.search(r"\bip_address\b", path.read_text())] == ["addresses.py"]


@pytest.mark.inputs("S11")
@pytest.mark.parametrize("name", ["x; touch pwned", "--yes", "$(touch pwned)", "a\nb", "A" * 70, ""])
def test_what_no_mesh_can_be_called_is_in_no_command(name: str) -> None:
    assert "meshwizard uninstall" not in way_out(name)
    assert "meshwizard uninstall mesh2" in way_out("mesh2")


ZONES = ["fe80::1%eth0", "fe80::1%x\ntouch pwned\n#", "fe80::1%$(touch pwned)", "2001:db8::1%1"]


@pytest.mark.parametrize("address", ZONES)
@pytest.mark.inputs("S1")
def test_an_address_with_a_zone_is_none(address: str) -> None:
    assert not is_ip(address)
    assert range_of(f"{address}/64") is None
    cluster = {"name": "cluster1", "context": "a", "network": "n1"}
    wrong = [
        ({"gateway": {"address": address}}, "gateway.address"),
        ({"gateway": {"exposure": "load-balancer", "address": address}}, "gateway.address"),
        ({"gateway": {"exposure": "cluster-ip-route", "address": "10.0.0.1", "node": address}}, "gateway.node"),
        ({"serviceCidr": f"{address}/64"}, "serviceCidr"),
        ({"apiServer": f"https://[{address}]:6443"}, "apiServer"),
        ({"role": "remote", "discoveryAddress": address}, "discoveryAddress"),
    ]
    for more, path in wrong:
        others = [{"name": "cluster2", "context": "b", "network": "n2"}]
        document = {
            "apiVersion": "meshwizard/v1", "kind": "Mesh", "name": "mesh1", "topology": "primary-remote",
            "clusters": [{**cluster, **more}, *others],
        }  # fmt: skip
        with pytest.raises(BadInput) as told:
            mesh_from(document)
        assert f"clusters[0].{path}" in [mistake.path for mistake in told.value.mistakes]
