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
from wizard.mesh.model import Cluster, Gateway, Istio, Mesh
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
