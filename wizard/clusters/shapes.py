"""What answers of an API server look like, as far as anybody here reads them. They are held against it where they enter, so that
nobody further in meets a list that is none: to kubectl, too, such an answer is an error.

A shape is a type; `{"field": shape}`, a mapping with such fields where it has them (`"field!"`: it must) and whatever else;
`{str: shape}`, a mapping of names; `[shape]`, a list; or UNREAD. Null is a field that is not there, as Go reads it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from wizard.clusters.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    ENDPOINTS,
    EVENT,
    LEASE,
    MUTATING_WEBHOOK,
    NODE,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_CIDR,
    VALIDATING_WEBHOOK,
    Kind,
    Object,
)
from wizard.messages import msg

Shape: TypeAlias = Any
UNREAD = object()  # left out of lists: it is large, and of no use to anybody
_DEEPEST = 100  # levels of what is nested in itself
_LARGEST = 1 << 63

_NAMES: Shape = {str: str}
_MANAGED: Shape = {}  # `f:spec` → `f:replicas` → {}
_MANAGED[str] = _MANAGED
_CONDITIONS: Shape = [{"type!": str, "status": str, "reason": str, "message": str, "lastTransitionTime": str}]
_METADATA: Shape = {
    "name!": str,
    "namespace": str,
    "uid": str,
    "resourceVersion": str,
    "generation": int,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "labels": _NAMES,
    "annotations": _NAMES,
    "finalizers": [str],
    "ownerReferences": [{"apiVersion": str, "kind": str, "name": str, "uid": str, "controller": bool}],
    "managedFields": [{"manager": str, "operation": str, "subresource": str, "time": str, "fieldsV1": _MANAGED}],
}
# What a cluster keeps has these as well; what it would make in a dry run need not.
_STORED: Shape = {**_METADATA, "uid!": str, "resourceVersion!": str}
_CONTAINERS: Shape = [
    {
        "name!": str,
        "image": str,
        "args": [str],
        "env": [{"name!": str, "value": str}],
        "securityContext": {"capabilities": {"add": [str]}},
    }
]
_STATES: Shape = {str: {"reason": str, "message": str, "exitCode": int, "startedAt": str, "finishedAt": str}}
_CONTAINER_STATUSES: Shape = [
    {"name!": str, "image": str, "ready": bool, "restartCount": int, "state": _STATES, "lastState": _STATES}
]
_POD: Shape = {
    "nodeName": str,
    "serviceAccountName": str,
    "nodeSelector": _NAMES,
    "containers": _CONTAINERS,
    "initContainers": _CONTAINERS,
    "tolerations": [dict],
}
_TEMPLATE: Shape = {
    "metadata": {"labels": _NAMES, "annotations": _NAMES},
    "spec!": {**_POD, "containers!": _CONTAINERS},
}
_SELECTOR: Shape = {"matchLabels": _NAMES, "matchExpressions": [dict]}
_WEBHOOKS: Shape = [
    {
        "name!": str,
        "clientConfig": {"url": str, "caBundle": str, "service": {"name": str, "namespace": str, "path": str}},
        "failurePolicy": str,
        "namespaceSelector": _SELECTOR,
        "objectSelector": _SELECTOR,
        "rules": [dict],
    }
]
_RULES: Shape = [{"apiGroups": [str], "resources": [str], "verbs": [str], "resourceNames": [str]}]
_BINDING: Shape = {
    "roleRef": {"kind": str, "name": str},
    "subjects": [{"kind": str, "name": str, "namespace": str}],
}
_ANY: Shape = {
    "apiVersion": str,
    "kind": str,
    "spec": dict,
    "status": {"conditions": _CONDITIONS},
}
_KINDS: dict[Kind, Shape] = {
    NODE: {
        "spec": {
            "podCIDR": str,
            "podCIDRs": [str],
            "providerID": str,
            "unschedulable": bool,
            "taints": [{"key": str, "value": str, "effect": str}],
        },
        "status": {
            "conditions": _CONDITIONS,
            "addresses": [{"type!": str, "address!": str}],
            "nodeInfo": {"architecture": str, "kubeletVersion": str, "operatingSystem": str, "osImage": str},
            "images": UNREAD,
        },
    },
    POD: {
        "spec": _POD,
        "status": {
            "conditions": _CONDITIONS,
            "phase": str,
            "reason": str,
            "message": str,
            "podIP": str,
            "podIPs": [{"ip": str}],
            "hostIP": str,
            "containerStatuses": _CONTAINER_STATUSES,
            "initContainerStatuses": _CONTAINER_STATUSES,
        },
    },
    SERVICE: {
        "spec": {
            "type": str,
            "externalName": str,
            "clusterIP": str,
            "clusterIPs": [str],
            "externalIPs": [str],
            "selector": _NAMES,
            "ports": [{"name": str, "port!": int, "nodePort": int, "protocol": str}],
        },
        "status": {"conditions": _CONDITIONS, "loadBalancer": {"ingress": [{"ip": str, "hostname": str}]}},
    },
    DEPLOYMENT: {
        "spec!": {"replicas": int, "selector": _SELECTOR, "template!": _TEMPLATE},
        "status": {
            "conditions": _CONDITIONS,
            "observedGeneration": int,
            "replicas": int,
            "availableReplicas": int,
            "readyReplicas": int,
            "updatedReplicas": int,
        },
    },
    ENDPOINTS: {"subsets": [{"addresses": [{"ip": str}]}]},
    ENDPOINT_SLICE: {"endpoints": [{"addresses": [str], "conditions": {"ready": bool}}]},
    CLUSTER_ROLE: {"rules": _RULES},
    ROLE: {"rules": _RULES},
    CLUSTER_ROLE_BINDING: _BINDING,
    ROLE_BINDING: _BINDING,
    LEASE: {
        "spec": {
            "holderIdentity": str,
            "leaseDurationSeconds": int,
            "leaseTransitions": int,
            "acquireTime": str,
            "renewTime": str,
        },
    },
    CRD: {
        "spec!": {
            "group!": str,
            "scope": str,
            "names!": {"kind!": str, "plural!": str},
            "versions": [{"name!": str, "served": bool, "storage": bool, "schema": UNREAD}],
        },
    },
    EVENT: {
        "type": str,
        "reason": str,
        "message": str,
        "lastTimestamp": str,
        "eventTime": str,
        "involvedObject": {"kind": str, "name": str, "namespace": str, "uid": str},
    },
    SECRET: {"type": str, "data": _NAMES},
    CONFIG_MAP: {"data": _NAMES, "binaryData": _NAMES},
    SERVICE_ACCOUNT: {"secrets": [{"name": str}], "imagePullSecrets": [{"name": str}]},
    SERVICE_CIDR: {"spec": {"cidrs": [str]}},
    MUTATING_WEBHOOK: {"webhooks": _WEBHOOKS},
    VALIDATING_WEBHOOK: {"webhooks": _WEBHOOKS},
}
LIST: Shape = {"items": [dict], "metadata": {"continue": str, "resourceVersion": str}}
REVIEW: Shape = {"status": {"allowed": bool}}
VERSION: Shape = {"gitVersion": str, "major": str, "minor": str}


class Misshapen(Exception):
    """An answer is not what it should be. Its words, a message, say where, and what must be there."""


def shaped(value: Any, shape: Shape, *, where: str = "", lean: bool = False) -> Any:
    """The value, once it is known to be of that shape, without the fields that are null; `lean`: and without those that are
    UNREAD. It is changed in place. Raises Misshapen.
    """
    _hold(value, shape, where, lean, 0)
    return value


def object_of(kind: Kind, value: Any, *, stored: bool = True, where: str = "", lean: bool = False) -> Object:
    """The object of that kind, with apiVersion and kind, which the items of a list lack. `stored`: a cluster keeps it. Raises
    Misshapen.
    """
    shaped(
        value, {**_ANY, **_KINDS.get(kind, {}), "metadata!": _STORED if stored else _METADATA}, where=where, lean=lean
    )
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if value.setdefault(field, wanted) != wanted:
            raise _wrong(_at(where, field), wanted)
    found: Object = value
    return found


def _hold(value: Any, shape: Shape, where: str, lean: bool, depth: int) -> None:
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise _wrong(where, msg("an object"))
        if depth > _DEEPEST:
            raise Misshapen(msg("{field}… is nested too deeply", field=where[:100]))
        for field, inner in shape.items():
            if field is str:
                for name in [name for name, each in value.items() if each is None]:
                    del value[name]
                for name, each in value.items():
                    _hold(each, inner, _at(where, name), lean, depth + 1)
            else:
                _hold_field(value, field, inner, where, lean, depth)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise _wrong(where, msg("a list"))
        for index, each in enumerate(value):
            _hold(each, shape[0], f"{where}[{index}]", lean, depth + 1)
    elif type(value) is not shape:  # truth is no number
        raise _wrong(where, _CALLED[shape])
    elif shape is int and not -_LARGEST <= value < _LARGEST:
        raise _wrong(where, msg("a number of 64 bits"))


def _hold_field(value: Object, field: str, shape: Shape, where: str, lean: bool, depth: int) -> None:
    name = field.removesuffix("!")
    if value.get(name) is None:
        value.pop(name, None)
        if name != field:
            raise Misshapen(msg("{field} is missing", field=_at(where, name)))
    elif shape is UNREAD:
        if lean:
            del value[name]
    else:
        _hold(value[name], shape, _at(where, name), lean, depth + 1)
        if name != field and not value[name]:
            raise Misshapen(msg("{field} is empty", field=_at(where, name)))


def _wrong(where: str, wanted: str) -> Misshapen:
    if not where:
        return Misshapen(msg("it must be {wanted}", wanted=wanted))
    return Misshapen(msg("{field} must be {wanted}", field=where, wanted=wanted))


def _at(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


_CALLED = {str: msg("text"), int: msg("a whole number"), bool: msg("true or false"), dict: msg("an object")}
