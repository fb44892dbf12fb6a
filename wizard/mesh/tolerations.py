"""Which taints of nodes the Pods that we make put up with: Kubernetes' own shape, and its rules about it (those of its
`ValidateTolerations` and `ToleratesTaint`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.mesh.labels import is_label_key, is_label_value
from wizard.messages import msg

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("Equal", "Exists")
_KEYS = ("key", "operator", "value", "effect", "tolerationSeconds")
_EXAMPLE = "[{key: dedicated, operator: Exists, effect: NoSchedule}]"
_KEEPS_AWAY = ("NoSchedule", "NoExecute")  # PreferNoSchedule only asks


@dataclass(frozen=True)
class Toleration:
    """One entry of a Pod's `tolerations`. `key` None: every key. `effect` None: every effect. `seconds`: how long a Pod stays
    where the taint appears, None: for ever.
    """

    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None
    seconds: int | None = None

    def manifest(self) -> dict[str, Any]:
        """As Kubernetes reads it."""
        told = dict(zip(_KEYS, (self.key, self.operator, self.value, self.effect, self.seconds), strict=True))
        return {name: value for name, value in told.items() if value is not None}

    def tolerates(self, taint: Mapping[str, Any]) -> bool:
        """Whether a Pod with this may run on a node with that taint."""
        return (
            (not self.effect or self.effect == taint.get("effect"))
            and (not self.key or self.key == taint.get("key"))
            and (self.operator == "Exists" or (self.value or "") == (taint.get("value") or ""))
        )


def toleration_of(entry: Mapping[str, Any]) -> Toleration:
    """What this entry of a mesh file, in which nothing is wrong, means."""
    return Toleration(*(entry.get(key) for key in _KEYS))


def wrong_tolerations(value: object) -> str | None:
    """What is wrong with this list of tolerations, as a sentence, or None."""
    if not isinstance(value, list):
        return msg("must be a list of tolerations, such as {example}", example=_EXAMPLE)
    wrong = ((number, problem) for number, entry in enumerate(value, 1) for problem in _wrong(entry))
    return next((msg("entry {number}: {problem}", number=number, problem=problem) for number, problem in wrong), None)


def untolerated(node: Mapping[str, Any], tolerations: Iterable[Toleration]) -> list[str]:
    """The taints of this node that keep Pods with these tolerations away, as kubectl writes them: `key=value:effect`."""
    known = tuple(tolerations)
    found = (node.get("spec") or {}).get("taints") or []
    taints = [taint for taint in found if isinstance(taint, dict) and taint.get("effect") in _KEEPS_AWAY]
    return [_spelled(taint) for taint in taints if not any(each.tolerates(taint) for each in known)]


def _spelled(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _wrong(entry: object) -> Iterator[str]:
    if not isinstance(entry, dict):
        yield msg("must be a mapping with key, operator, value and effect")
        return
    for name, value in entry.items():
        if name not in _KEYS:
            yield msg("unknown key {key}; a toleration has {keys}", key=repr(str(name)[:40]), keys=", ".join(_KEYS))
        elif name == "tolerationSeconds":
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                yield msg("tolerationSeconds must be a whole number of seconds")
        elif not isinstance(value, str):
            yield msg("{key} must be text (quote it)", key=name)
    if any(not isinstance(entry.get(name, ""), str) for name in _KEYS[:4]):
        return
    key, operator, value, effect = (entry.get(name, "") for name in _KEYS[:4])
    if key and not is_label_key(key):
        yield msg("{key} is no key of a taint", key=repr(key[:80]))
    if not key and operator != "Exists":
        yield msg("without a key, which means every taint, operator must be Exists")
    if operator not in ("", *OPERATORS):
        yield msg("operator {operator} is none of {known}", operator=repr(operator[:40]), known=", ".join(OPERATORS))
    elif operator == "Exists" and value:
        yield msg("with operator Exists there is no value")
    elif not is_label_value(value):
        yield msg("{value} is no value of a taint", value=repr(value[:80]))
    if effect not in ("", *EFFECTS):
        yield msg("effect {effect} is none of {known}", effect=repr(effect[:40]), known=", ".join(EFFECTS))
    if "tolerationSeconds" in entry and effect != "NoExecute":
        yield msg("tolerationSeconds goes with effect NoExecute only")
