"""A plan as a shell script: the whole install, for a person to read, keep and run without meshwizard."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.engine.step import Plan, Step
from wizard.mesh.model import Mesh
from wizard.text import for_bash, listing, one_line, quoted


def render(mesh: Mesh, plan: Plan) -> str:
    """The bash script that makes this mesh and verifies it. The mesh must be settled, so that no address is left open."""
    lines = ["#!/usr/bin/env bash", *map(_comment, _header(mesh)), *_preparations(mesh)]
    steps = [step for step in plan.steps if step.commands()]
    for number, step in enumerate(steps, 1):
        lines += ["", *_section(step, number, len(steps))]
    names = listing(cluster.name for cluster in mesh.clusters)
    lines += ["", f"say {quoted(f'Mesh {mesh.name} stands: {names} hear each other.')}", ""]
    return for_bash("\n".join(lines))


def _header(mesh: Mesh) -> Iterator[str]:
    """What the script says of itself, line by line."""
    yield f"Makes Istio mesh {mesh.name} ({mesh.topology}) and proves that it answers across clusters. Written by meshwizard."
    yield ""
    yield "Clusters:"
    for cluster in mesh.clusters:
        role = f"remote of {cluster.primary}" if cluster.role == "remote" else "primary"
        parts = [f"context {cluster.context}", role, f"network {cluster.network}"]
        if mesh.has_gateway(cluster.name):
            where = " and ".join(cluster.gateway.addresses) or "what its load balancer gives"
            parts.append(f"gateway {where}:{cluster.gateway.tls_port} ({cluster.gateway.exposure})")
        if cluster.api_server:
            parts.append(f"API server for the others {cluster.api_server}")
        yield f"  {cluster.name}: {', '.join(parts)}"
    yield ""
    yield f"It needs: bash, kubectl, openssl, istioctl {mesh.istio.version or '(any that meshwizard drives)'} on the PATH,"
    yield "administrator rights in every cluster, and the kubeconfigs named below."
    yield "Run it in an empty private folder: `mkdir -m 700 mesh && cd mesh && bash ../runbook.sh`."
    if mesh.certificates.source == "generate":
        yield "It makes the folder certs/ there; move certs/root-key.pem to a safe place afterwards, it is needed only to add"
        yield "another cluster."
    yield ""
    yield "It stops at the first command that fails. Unlike `meshwizard apply` it neither looks before it writes nor goes on"
    yield "where it stopped: it is meant for clusters without Istio."


def _preparations(mesh: Mesh) -> Iterator[str]:
    yield ""
    yield "set -euo pipefail"
    yield "umask 077  # keys are written below"
    yield ""
    yield "say() { printf '\\n== %s\\n' \"$*\"; }"
    yield ""
    yield "for tool in kubectl istioctl openssl; do"
    yield '  command -v "$tool" >/dev/null || { echo "$tool is not on the PATH" >&2; exit 2; }'
    yield "done"
    if mesh.istio.version:
        yield "# The control plane gets istioctl's version, and another one may read these settings otherwise."
        yield f"istioctl version --remote=false --short | grep -qF -e {quoted(mesh.istio.version)} || {{"
        yield f"  echo {quoted(f'istioctl must be {mesh.istio.version}')} >&2; exit 2; }}"


def _section(step: Step, number: int, total: int) -> Iterator[str]:
    where = f"{step.cluster}: " if step.cluster else ""
    title = one_line(f"{where}{step.title}")
    yield _comment(f"{'-' * 8} {number} of {total} · {title} ({step.id})")
    yield f"say {quoted(f'{number}/{total} {title}')}"
    for command in step.commands():
        if command.why:
            yield _comment(command.why)
        yield command.text


def _comment(text: str) -> str:
    # A line break in a foreign name would end the comment and begin a command.
    indent = text[: len(text) - len(text.lstrip(" "))]
    return f"# {indent}{one_line(text, 500)}".rstrip()
