"""Where the rules of a VirtualService send a request to the sample, and what they do to it, as far as that can be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wizard.checks.standing.policies import Policy, full_host, is_visible, most_specific, sample_host
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import Object
from wizard.mesh.sample import PORT
from wizard.probes.traffic import ANSWER_SECONDS

PATH = "/hello"
_SENT = {"accept", "host", "user-agent"}  # headers that the client sends, beside what its proxy adds (x-…)
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|us|µs|ns|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Chosen:
    """The rule that a request meets; None: none. `sure`: no rule before it may be met instead."""

    rule: Object | None
    sure: bool


def deciding(control: Here, policies: Iterable[Policy]) -> Policy | None:
    """The VirtualService by which sidecars beside the sample ask it: that of the most specific host, then the oldest."""
    hosts = {policy: covering(control, policy) for policy in policies}
    best = most_specific({host for host in hosts.values() if host}, sample_host(control))
    return next((policy for policy, host in hosts.items() if best and host == best), None)


def covering(control: Here, policy: Policy) -> str | None:
    """The host of a VirtualService for sidecars that means the sample; None where none does."""
    if "mesh" not in (policy.spec.get("gateways") or ["mesh"]):
        return None
    if not is_visible(policy, control.mesh.verify.namespace, control):
        return None
    hosts = {full_host(host, policy, control) for host in policy.spec.get("hosts") or []}
    return most_specific(hosts, sample_host(control))


def chosen(rules: Iterable[Object], namespace: str, labels: Mapping[str, str]) -> Chosen:
    """The first of these rules that a request of a client with these labels in that namespace meets for sure."""
    sure = True
    for rule in rules:
        met = _met(rule.get("match") or [], namespace, labels)
        if met:
            return Chosen(rule, sure)
        sure = sure and met is not None
    return Chosen(None, sure)


def share(fault: Object) -> float:
    """How many of a hundred requests a fault is for. Where it does not say, it is for none."""
    percentage = fault.get("percentage")
    value = percentage.get("value") if isinstance(percentage, dict) else fault.get("percent")
    return float(value) if isinstance(value, int | float) else 0.0


def is_too_long(delay: Object) -> bool:
    """Whether a client has given up by the time that this delay is over."""
    given = delay.get("fixedDelay")
    parts = _DURATION.findall(given) if isinstance(given, str) else []
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) >= ANSWER_SECONDS


def _met(matches: list[Object], namespace: str, labels: Mapping[str, str]) -> bool | None:
    """Whether a request meets any of these; None: that cannot be told."""
    found = [_meets(match, namespace, labels) for match in matches]
    if not matches or True in found:
        return True
    return None if None in found else False


def _meets(match: Object, namespace: str, labels: Mapping[str, str]) -> bool | None:
    met: list[bool | None] = []
    for key, wanted in match.items():
        if key == "uri":
            exact = {how: text.lower() if match.get("ignoreUriCase") else text for how, text in wanted.items()}
            met.append(_text(exact, PATH))
        elif key == "method":
            met.append(_text(wanted, "GET"))
        elif key == "scheme":
            met.append(_text(wanted, "http"))
        elif key == "port":
            met.append(wanted == PORT)
        elif key == "sourceNamespace":
            met.append(wanted in ("", namespace))
        elif key == "sourceLabels":
            met.append(wanted.items() <= labels.items())
        elif key == "gateways":
            met.append(not wanted or "mesh" in wanted)
        elif key == "headers":
            met += [_sent(name) for name in wanted]
        elif key not in ("name", "statPrefix", "ignoreUriCase"):
            met.append(None)
    if False in met:
        return False
    return None if None in met else True


def _sent(header: str) -> bool | None:
    """No request has it, or what it has cannot be told."""
    name = header.lower()
    return None if name in _SENT or name.startswith(("x-", ":")) else False


def _text(wanted: Mapping[str, str], value: str) -> bool | None:
    if "exact" in wanted:
        return wanted["exact"] == value
    return value.startswith(wanted["prefix"]) if "prefix" in wanted else None
