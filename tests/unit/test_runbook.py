"""The exported script: it runs, with stand-ins for the tools, and foreign names in it are never commands."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from wizard.commands.main import run
from wizard.mesh.model import Certificates, Cluster, Gateway, Istio, Mesh
from wizard.plan import plan_of
from wizard.resolve import is_settled
from wizard.runbook import render

MESH = Mesh(
    "mesh1",
    tuple(
        Cluster(
            f"cluster{number}", f"admin{number}@k", f"network{number}", kubeconfig=Path("/k/multiconf"),
            api_server=f"https://10.0.0.{number}:6443", gateway=Gateway("node-port", f"10.0.0.{number}", 31443),
        )
        for number in (1, 2)
    ),
    istio=Istio(version="1.29.1"),
)  # fmt: skip

TOOLS = {
    "kubectl": 'echo "kubectl $*" >> "$TRACE"\n'
    'case "$*" in *" exec "*) printf "Hello version: v1, instance: a\\nHello version: v2, instance: b\\n";; esac\n'
    '[ -t 0 ] || cat > /dev/null\n',
    "istioctl": 'echo "istioctl $*" >> "$TRACE"\n'
    'case "$*" in version*) echo "${ISTIOCTL:-1.29.1}";; *create-remote-secret*) echo "kind: Secret";; esac\n'
    '[ -t 0 ] || cat > /dev/null\n',
}  # fmt: skip

bash = pytest.mark.skipif(not (shutil.which("bash") and shutil.which("openssl")), reason="needs bash and openssl")


def execute(folder: Path, script: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The script's end, and the commands that it gave to kubectl and istioctl, in order."""
    tools = folder / "bin"
    tools.mkdir()
    for name, body in TOOLS.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}")
        (tools / name).chmod(stat.S_IRWXU)
    work = folder / "work"
    work.mkdir()
    (work / "runbook.sh").write_text(script)
    trace = folder / "trace"
    trace.touch()
    done = subprocess.run(
        ["bash", "runbook.sh"], cwd=work, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "TRACE": str(trace)} | environment,
    )  # fmt: skip
    return done, trace.read_text().splitlines()


def parts(script: str) -> tuple[list[str], list[str]]:
    """The paragraphs that the script says of itself, and what it does before its first step, block by block."""
    begins, rest = script.split("\n\n", 1)
    first, *said = begins.splitlines()
    assert first == "#!/usr/bin/env bash"
    assert all(line.startswith("# ") or line == "#" for line in said)
    return "\n".join(line[2:] for line in said).split("\n\n"), rest.partition("\n# ----")[0].strip().split("\n\n")


def test_it_says_what_it_makes_of_which_clusters_and_what_it_needs() -> None:
    served = replace(
        MESH.clusters[1], role="remote", primary="cluster1", api_server=None, gateway=Gateway("load-balancer")
    )
    mesh = replace(MESH, topology="primary-remote", clusters=(MESH.clusters[0], served))
    what, clusters, needs, ends = parts(render(mesh, plan_of(mesh)))[0]
    assert "mesh1 (primary-remote)" in what
    assert clusters.splitlines() == [
        "Clusters:",
        "  cluster1: context admin1@k, primary, network network1, gateway 10.0.0.1:31443 (node-port), "
        "API server for the others https://10.0.0.1:6443",
        "  cluster2: context admin2@k, remote of cluster1, network network2, "
        "gateway what its load balancer gives:15443 (load-balancer)",
    ]
    for each in ("istioctl 1.29.1 on the PATH", "administrator rights", "empty private folder"):
        assert each in needs
    assert "stops at the first command that fails" in ends
    assert "clusters without Istio" in ends


def test_a_cluster_without_a_gateway_has_none_in_its_line() -> None:
    mesh = replace(MESH, clusters=tuple(replace(cluster, network="one") for cluster in MESH.clusters))
    _, clusters, *_ = parts(render(mesh, plan_of(mesh)))[0]
    assert "network one, API server" in clusters
    assert "gateway" not in clusters


def test_where_it_makes_the_certificates_it_says_what_becomes_of_the_root_key() -> None:
    *_, needs, _ = parts(render(MESH, plan_of(MESH)))[0]
    assert "certs/root-key.pem to a safe place" in needs
    assert "another cluster" in needs
    theirs = replace(MESH, certificates=Certificates("existing"))
    assert "root-key.pem" not in "\n".join(parts(render(theirs, plan_of(theirs)))[0])


def test_its_steps_are_numbered_and_each_says_where_what_and_why() -> None:
    plan = plan_of(MESH)
    steps = [step for step in plan.steps if step.commands()]
    assert len(steps) < len(plan.steps), "some steps are only the wizard's own"
    sections = render(MESH, plan).split("\n\n# -------- ")[1:]
    assert len(sections) == len(steps)
    for number, (section, step) in enumerate(zip(sections, steps, strict=True), 1):
        title = f"{step.cluster}: {step.title}" if step.cluster else step.title
        head, said, rest = section.split("\n", 2)
        assert head == f"{number} of {len(steps)} · {title} ({step.id})"
        assert said.removeprefix("say ").strip("'") == f"{number}/{len(steps)} {title}"
        assert [f"# {each.why}" for each in step.commands() if each.why and f"# {each.why}\n" not in rest] == []
        assert "#\n" not in rest


@bash
def test_before_its_first_step_it_guards_itself(tmp_path: Path) -> None:
    """It stops where a command fails or a name is missing, writes for its owner only, and names the tool that is missing."""
    blocks = parts(render(MESH, plan_of(MESH)))[1]
    assert [block.split()[0] for block in blocks] == ["set", "say()", "for"]
    assert "# The control plane gets istioctl's version" in blocks[2]
    begins = "\n\n".join(blocks)
    done, trace = execute(tmp_path, f"{begins}\numask\nsay 'a  b' c\nfalse | true\necho went on\n")
    assert done.stdout == "0077\n\n== a  b c\n"
    assert done.returncode == 1
    assert len(trace) == 1
    for number, wrong in enumerate(("echo $nobody_set_this", "PATH=/nonexistent"), 1):
        (tmp_path / str(number)).mkdir()
        script = f"{wrong}\n{begins}" if wrong.startswith("PATH") else f"{begins}\n{wrong}\necho went on"
        done, _ = execute(tmp_path / str(number), script)
        assert done.returncode in (1, 2)
        assert "went on" not in done.stdout
    assert "kubectl is not on the PATH" in done.stderr


def test_any_istioctl_will_do_where_the_mesh_names_none() -> None:
    mesh = replace(MESH, istio=Istio())
    said, blocks = parts(render(mesh, plan_of(mesh)))
    assert "istioctl (any that meshwizard drives)" in said[2]
    assert "must be" not in blocks[2]


@bash
def test_the_script_runs_and_every_command_names_its_cluster(tmp_path: Path) -> None:
    done, trace = execute(tmp_path, render(MESH, plan_of(MESH)))
    assert done.returncode == 0, done.stderr
    assert "Mesh mesh1 stands" in done.stdout
    for line in trace:
        if not line.startswith("istioctl version"):
            assert "--kubeconfig=/k/multiconf" in line
            assert "--context=admin1@k" in line or "--context=admin2@k" in line
    installs = [line for line in trace if line.startswith("istioctl install")]
    assert len(installs) == 2
    remote = [line for line in trace if "create-remote-secret" in line]
    assert any("--context=admin2@k" in line and "--name=cluster2" in line and "10.0.0.2" in line for line in remote)
    assert any("--context=admin1@k" in line and "--name=cluster1" in line and "10.0.0.1" in line for line in remote)


@bash
def test_its_certificates_are_one_chain_per_cluster(tmp_path: Path) -> None:
    done, _ = execute(tmp_path, render(MESH, plan_of(MESH)))
    assert done.returncode == 0, done.stderr
    certs = tmp_path / "work" / "certs"
    for cluster in ("cluster1", "cluster2"):
        verified = subprocess.run(
            ["openssl", "verify", "-CAfile", certs / "root-cert.pem", certs / cluster / "ca-cert.pem"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert (certs / cluster / "ca-key.pem").stat().st_mode & 0o077 == 0
    assert (certs / "root-key.pem").stat().st_mode & 0o077 == 0


@bash
def test_it_stops_where_a_version_stays_unheard(tmp_path: Path) -> None:
    script = render(MESH, plan_of(MESH)).replace("sleep 2", "break").replace("version: v2,", "version: v3,")
    done, _ = execute(tmp_path, script)
    assert done.returncode != 0
    assert "does not hear" in done.stderr
    assert "stands" not in done.stdout


@bash
def test_another_istioctl_is_refused_before_anything(tmp_path: Path) -> None:
    done, trace = execute(tmp_path, render(MESH, plan_of(MESH)), ISTIOCTL="1.28.0")
    assert done.returncode == 2
    assert "must be 1.29.1" in done.stderr
    assert len(trace) == 1


HOSTILE = [
    "x; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "a\ntouch pwned\n#",
    "a && touch pwned",
]


@bash
@pytest.mark.parametrize("name", HOSTILE)
def test_foreign_names_are_never_commands(tmp_path: Path, name: str) -> None:
    first = replace(MESH.clusters[0], context=name, kubeconfig=Path(f"/k/{name}"))
    mesh = replace(MESH, clusters=(first, MESH.clusters[1]))
    execute(tmp_path, render(mesh, plan_of(mesh)))
    assert not list(tmp_path.rglob("pwned"))


def test_the_order_is_that_of_the_plan() -> None:
    plan = plan_of(MESH)
    script = render(MESH, plan)
    places = [script.index(f"({step.id})") for step in plan.steps if step.commands()]
    assert places == sorted(places)
    assert len(places) > 10


def test_a_complete_mesh_file_is_exported_without_asking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """\
apiVersion: meshwizard/v1
kind: Mesh
name: mesh1
istio: {version: 1.29.1}
clusters:
- {name: cluster1, context: a, network: n1, apiServer: "https://10.0.0.1:6443", gateway: {address: 10.0.0.1, port: 31443}}
- {name: cluster2, context: b, network: n2, apiServer: "https://10.0.0.2:6443", gateway: {address: 10.0.0.2, port: 31443}}
"""
    path, out = tmp_path / "mesh.yaml", tmp_path / "runbook.sh"
    path.write_text(text)
    assert run(["export", "-f", str(path), "--as", "runbook", "--istioctl", "/nonexistent"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("#!/usr/bin/env bash\n")
    assert run(["export", "-f", str(path), "-o", str(out)]) == 0
    assert out.read_text() == shown
    assert out.stat().st_mode & stat.S_IXUSR
    assert run(["export", "-f", str(path), "-o", str(out)]) == 2
    assert not is_settled(replace(MESH, istio=Istio()))
    assert not is_settled(replace(MESH, clusters=(replace(MESH.clusters[0], api_server=None), MESH.clusters[1])))
