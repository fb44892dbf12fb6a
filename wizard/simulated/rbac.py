"""What an account may do, as ClusterRoles and their bindings say it."""

from __future__ import annotations

from collections.abc import Iterator

from wizard.clusters.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Kind, Object, Ref
from wizard.simulated.machine import Machine


def may_list(machine: Machine, account: Ref, kinds: tuple[Kind, ...]) -> bool:
    """Whether this ServiceAccount may list and watch all objects of each of the kinds."""
    rules = list(_rules(machine, account))
    return all(any(_allows(rule, kind, verb) for rule in rules) for kind in kinds for verb in ("list", "watch"))


def _rules(machine: Machine, account: Ref) -> Iterator[Object]:
    for binding in machine.store.all(CLUSTER_ROLE_BINDING):
        subjects = binding.manifest.get("subjects") or []
        if not any(
            (each.get("kind"), each.get("name"), each.get("namespace"))
            == ("ServiceAccount", account.name, account.namespace)
            for each in subjects
        ):
            continue
        role = machine.store.find(Ref(CLUSTER_ROLE, str((binding.manifest.get("roleRef") or {}).get("name"))))
        yield from (role.manifest.get("rules") or []) if role else ()


def _allows(rule: Object, kind: Kind, verb: str) -> bool:
    return all(
        {"*", wanted} & set(rule.get(field) or [])
        for field, wanted in (("apiGroups", kind.group), ("resources", kind.plural), ("verbs", verb))
    )
