"""A plan as a shell script: the whole install, for a person to read, keep and run without meshwizard."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

from wizard.engine.step import Plan, Step
from wizard.mesh.model import Cluster, Mesh
from wizard.messages import joined, msg
from wizard.text import for_bash, listing, one_line, quoted

Say = Callable[[str], str]
"""Puts a message into the words of a language."""


def render(mesh: Mesh, plan: Plan, say: Say = str) -> str:
    """The bash script that makes this mesh and verifies it. The mesh must be settled, so that no address is left open. `say`:
    puts what the script tells into a person's language; otherwise it is English.
    """
    header = [_comment(line) for text in _header(mesh) for line in say(text).split("\n")]
    lines = ["#!/usr/bin/env bash", *header, *_preparations(mesh, say)]
    steps = [step for step in plan.steps if step.commands()]
    for number, step in enumerate(steps, 1):
        lines += ["", *_section(step, number, len(steps), say)]
    names = listing(cluster.name for cluster in mesh.clusters)
    stands = msg("Mesh {mesh} stands: {clusters} hear each other.", mesh=mesh.name, clusters=names)
    lines += ["", f"say {quoted(say(stands))}", ""]
    return for_bash("\n".join(lines))


def _header(mesh: Mesh) -> Iterator[str]:
    """What the script says of itself, in paragraphs. No value in them has a line break."""
    yield msg(
        "Makes Istio mesh {mesh} ({topology}) and proves that it answers across clusters. Written by meshwizard.",
        mesh=mesh.name,
        topology=mesh.topology,
    )
    yield ""
    yield msg("Clusters:")
    for cluster in mesh.clusters:
        facts = one_line(joined(_facts(mesh, cluster), ", "), 500)
        yield msg("  {cluster}: {facts}", cluster=cluster.name, facts=facts)
    yield ""
    yield msg(
        "It needs: bash, kubectl, openssl, istioctl {version} on the PATH,\n"
        "administrator rights in every cluster, and the kubeconfigs named below.",
        version=one_line(mesh.istio.version or msg("(any that meshwizard drives)")),
    )
    yield msg("Run it in an empty private folder: `mkdir -m 700 mesh && cd mesh && bash ../runbook.sh`.")
    if mesh.certificates.source == "generate":
        yield msg(
            "It makes the folder certs/ there; move certs/root-key.pem to a safe place afterwards, it is needed only to add\n"
            "another cluster."
        )
    yield ""
    yield msg(
        "It stops at the first command that fails. Unlike `meshwizard apply` it neither looks before it writes nor goes on\n"
        "where it stopped: it is meant for clusters without Istio."
    )


def _facts(mesh: Mesh, cluster: Cluster) -> Iterator[str]:
    """What the mesh has of a cluster, one thing after the other."""
    yield msg("context {context}", context=cluster.context)
    yield msg("remote of {primary}", primary=cluster.primary) if cluster.role == "remote" else msg("primary")
    yield msg("network {network}", network=cluster.network)
    gateway = cluster.gateway
    if mesh.has_gateway(cluster.name):
        where = functools.reduce(_and, gateway.addresses or (msg("what its load balancer gives"),))
        told = msg(
            "gateway {address}:{port} ({exposure})", address=where, port=gateway.tls_port, exposure=gateway.exposure
        )
        yield told
    if cluster.api_server:
        yield msg("API server for the others {address}", address=cluster.api_server)


def _and(rest: str, end: str) -> str:
    return msg("{rest} and {end}", rest=rest, end=end)


def _preparations(mesh: Mesh, say: Say) -> Iterator[str]:
    yield ""
    yield "set -euo pipefail"
    yield f"umask 077  {_comment(say(msg('keys are written below')))}"
    yield ""
    yield "say() { printf '\\n== %s\\n' \"$*\"; }"
    yield ""
    yield "for tool in kubectl istioctl openssl; do"
    missing = _in_double_quotes(say(msg("{tool} is not on the PATH", tool="$tool")))
    yield f'  command -v "$tool" >/dev/null || {{ echo {missing} >&2; exit 2; }}'
    yield "done"
    if mesh.istio.version:
        why = msg("The control plane gets istioctl's version, and another one may read these settings otherwise.")
        yield _comment(say(why))
        yield f"istioctl version --remote=false --short | grep -qF -e {quoted(mesh.istio.version)} || {{"
        wrong = say(msg("istioctl must be {version}", version=mesh.istio.version))
        yield f"  echo {quoted(wrong)} >&2; exit 2; }}"


def _section(step: Step, number: int, total: int, say: Say) -> Iterator[str]:
    told = msg("{cluster}: {title}", cluster=step.cluster, title=step.title) if step.cluster else step.title
    title = one_line(say(told))
    heading = msg("{number} of {total} · {title} ({step})", number=number, total=total, title=title, step=step.id)
    yield _comment(f"{'-' * 8} {say(heading)}")
    yield f"say {quoted(f'{number}/{total} {title}')}"
    for command in step.commands():
        if command.why:
            yield _comment(say(command.why))
        yield command.text


def _in_double_quotes(text: str) -> str:
    """One word for a shell, which puts the value of `tool` in, and nothing else."""
    return '"' + re.sub(r'["\\`]|\$(?!tool\b)', r"\\\g<0>", one_line(text)) + '"'


def _comment(text: str) -> str:
    # A line break in a foreign name would end the comment and begin a command.
    indent = text[: len(text) - len(text.lstrip(" "))]
    return f"# {indent}{one_line(text, 500)}".rstrip()
