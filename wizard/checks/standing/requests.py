"""What an AuthorizationPolicy makes of a request of the sample's client, as far as that can be told from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from wizard.checks.standing.answering import answering
from wizard.checks.standing.policies import Policy
from wizard.checks.standing.routes import PATH
from wizard.checks.standing.samples import pods_of
from wizard.checks.standing.trustdomains import DEFAULT_DOMAIN, trust_domains
from wizard.checks.standing.view import Here
from wizard.mesh.sample import CLIENT, PORT

_METHOD = "GET"


@dataclass(frozen=True)
class Asking:
    """Who asks, as the certificate of the client's proxy says. `domains`: the trust domains that count as one with its own, the
    default one among them, since in a policy it stands for whatever it is.
    """

    namespace: str
    account: str
    domains: frozenset[str]


def asking(there: Here) -> Asking:
    """The client of this cluster."""
    pods = pods_of(there, CLIENT)
    account = str((pods[0].get("spec") or {}).get("serviceAccountName") or "default") if pods else "default"
    domain, aliases = _domains(there)
    return Asking(there.mesh.verify.namespace, account, aliases | {domain, DEFAULT_DOMAIN})


def _domains(there: Here) -> tuple[str, frozenset[str]]:
    known = trust_domains(there.control) if answering([there.control]) else None
    return known or (there.mesh.trust_domain, frozenset())


def meets(policy: Policy, who: Asking) -> bool | None:
    """Whether any rule of the policy is for this request; None: that cannot be told."""
    return _any(
        _all(
            (
                _any(_source(each.get("source") or {}, who) for each in rule["from"]) if rule.get("from") else True,
                _any(_operation(each.get("operation") or {}) for each in rule["to"]) if rule.get("to") else True,
                None if rule.get("when") else True,  # it may ask for anything
            )
        )
        for rule in policy.spec.get("rules") or []
    )


def _source(source: Mapping[str, list[str]], who: Asking) -> bool | None:
    account = f"{who.namespace}/{who.account}"
    return _fields(
        source,
        {
            "namespaces": lambda wanted: _fits(wanted, who.namespace),
            "principals": lambda wanted: _any(_principal(each, who) for each in wanted),
            "serviceAccounts": lambda wanted: _fits(wanted, account) or (None if who.account in wanted else False),
            "requestPrincipals": lambda _: False,  # the client sends no token
        },
    )


def _operation(operation: Mapping[str, list[str]]) -> bool | None:
    return _fields(
        operation,
        {
            "methods": lambda wanted: _fits(wanted, _METHOD),
            "ports": lambda wanted: _fits(wanted, str(PORT)),
            "paths": lambda wanted: None if any("{" in each for each in wanted) else _fits(wanted, PATH),
        },
    )


def _fields(given: Mapping[str, list[str]], known: Mapping[str, Callable[[list[str]], bool | None]]) -> bool | None:
    """Whether all fields are met; `notPaths` is met where `paths` were not. What is not known cannot be told."""

    def met(field: str, wanted: list[str]) -> bool | None:
        positive = field[3:4].lower() + field[4:] if field.startswith("not") else field
        found = known[positive](wanted) if positive in known else None
        return found if found is None or positive == field else not found

    return _all(met(field, wanted) for field, wanted in given.items() if wanted)


def _principal(pattern: str, who: Asking) -> bool | None:
    """Whether this means the client. Of a trust domain that is not known to be an alias that cannot be told."""
    rest = f"ns/{who.namespace}/sa/{who.account}"
    if any(_fits([pattern], f"{domain}/{rest}") for domain in who.domains):
        return True
    return None if "/" in pattern and _fits([pattern.partition("/")[2]], rest) and pattern[:1] != "*" else False


def _fits(patterns: Iterable[str], value: str) -> bool:
    """Whether any of these means the value: the same, or with `*` at its beginning or end."""
    return any(
        value.startswith(each[:-1])
        if each.endswith("*")
        else value.endswith(each[1:])
        if each[:1] == "*"
        else value == each
        for each in patterns
    )


def _any(found: Iterable[bool | None]) -> bool | None:
    seen = set(found)
    return True if True in seen else None if None in seen else False


def _all(found: Iterable[bool | None]) -> bool | None:
    seen = set(found)
    return False if False in seen else None if None in seen else True
