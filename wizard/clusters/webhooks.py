"""Admission webhooks that call a Service that is gone: whatever they are asked about is refused, until somebody deletes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wizard.clusters.kinds import Object, Ref, ref_of
from wizard.clusters.selectors import selects
from wizard.messages import msg
from wizard.text import listing, one_line

Service = tuple[str, str]  # namespace, name


@dataclass(frozen=True)
class Made:
    """A kind of object that will be made. `resource`: as `deployments.apps`; `place`: the labels of its namespace, or its own
    where it is one, None for other kinds without a namespace; `namespace`: empty for such.
    """

    resource: str
    place: Mapping[str, str] | None
    namespace: str = ""


@dataclass(frozen=True)
class Orphan:
    """A configuration of which webhooks lost their Service. `told`: which, and whose; `refuses`: what will be made that is
    refused for it, empty where nothing is; `whole`: whether all of its webhooks lost it.
    """

    configuration: Ref
    told: str
    refuses: str
    whole: bool


def orphans(
    configurations: Iterable[Object],
    is_gone: Callable[[Service], bool],
    made: Sequence[Made],
    labels: Sequence[Mapping[str, str]],
) -> list[Orphan]:
    """Those among these configurations. `labels`: what objects that will be made may carry."""
    found = []
    for item in configurations:
        hooks = item.get("webhooks") or []
        lost = [hook for hook in hooks if (service := _service(hook)) and is_gone(service)]
        if not lost:
            continue
        hit = [each for each in made if any(_refuses(hook, each, labels) for hook in lost)]
        told = listing(
            dict.fromkeys(
                msg(
                    "{webhook} calls {service}, which is gone",
                    webhook=one_line(hook.get("name")),
                    service=_shown(_service(hook)),
                )
                for hook in lost
            )
        )
        refuses = listing(dict.fromkeys(map(_place, hit[:3])))
        found.append(Orphan(ref_of(item), told, refuses, len(lost) == len(hooks)))
    return found


def _place(made: Made) -> str:
    if not made.namespace:
        return made.resource
    return msg("{resource} in {namespace}", resource=made.resource, namespace=made.namespace)


def asked(configurations: Iterable[Object], made: Made, labels: Mapping[str, str]) -> list[tuple[Ref, Service]]:
    """The configurations of which a Service in the cluster will be asked about such an object, with that Service."""
    return [
        (ref_of(item), service)
        for item in configurations
        for hook in item.get("webhooks") or []
        if (service := _service(hook)) and _concerns(hook, made, [labels])
    ]


def _service(hook: Object) -> Service | None:
    service = (hook.get("clientConfig") or {}).get("service") or {}
    return (str(service.get("namespace")), str(service["name"])) if service.get("name") else None


def _shown(service: Service | None) -> str:
    if not service:
        return ""
    return msg("Service {name} in {namespace}", name=one_line(service[1]), namespace=one_line(service[0]))


def _refuses(hook: Object, made: Made, labels: Sequence[Mapping[str, str]]) -> bool:
    """Whether the API server will ask it about such an object and refuse that. Conditions in CEL are not evaluated: they may
    leave the object out, so they count as if they did.
    """
    if hook.get("failurePolicy", "Fail") != "Fail" or hook.get("matchConditions"):
        return False
    return _concerns(hook, made, labels)


def _concerns(hook: Object, made: Made, labels: Sequence[Mapping[str, str]]) -> bool:
    """Whether such an object is what it selects."""
    if made.place is not None and not selects(hook.get("namespaceSelector"), made.place):
        return False
    return any(selects(hook.get("objectSelector"), each) for each in labels) and any(
        _covers(rule, made) for rule in hook.get("rules") or []
    )


def _covers(rule: Object, made: Made) -> bool:
    plural, _, group = made.resource.partition(".")
    return (
        bool({"*", "CREATE", "UPDATE"} & set(rule.get("operations") or []))
        and bool({"*", group} & set(rule.get("apiGroups") or []))
        and bool({"*", "*/*", plural} & set(rule.get("resources") or []))
        and rule.get("scope", "*") in ("*", "Namespaced" if made.namespace else "Cluster")
    )
