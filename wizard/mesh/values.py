"""What a single answer must be: one rule a kind of answer, with what JSON Schema can say of it.

The patterns are read by Python and by editors (ECMA 262), so they keep to what both know.
"""

from __future__ import annotations

import re
from typing import Any

from wizard.mesh.addresses import address_of, range_of
from wizard.mesh.field import Held, Rule
from wizard.mesh.labels import wrong_annotations
from wizard.mesh.tolerations import EFFECTS, OPERATORS, toleration_of, wrong_tolerations
from wizard.messages import msg

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_IMAGE_PREFIX = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_IMAGE = re.compile(_IMAGE_PREFIX.pattern + r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-.][0-9A-Za-z.-]+)?")
_SAMPLE_VERSION = re.compile(r"v[1-9][0-9]{0,3}")
_LONGEST_NAME = 253  # of a DNS subdomain
_LONGEST_REVISION = 40
_LAST_PORT = 65535
_RESERVED_NAMESPACES = ("default", "istio-system", "kube-node-lease", "kube-public", "kube-system")


def _dns_label(value: str) -> str | None:
    if _LABEL.fullmatch(value):
        return None
    return msg(
        "{value} is no DNS label: up to 63 lower-case letters, digits and hyphens, a letter or digit at both ends",
        value=repr(value[:80]),
    )


def _network(value: str) -> str | None:
    if _LABEL_VALUE.fullmatch(value):
        return None
    return msg(
        "{value} cannot be a label value: up to 63 letters, digits, '-', '_' or '.', starting and ending alphanumeric",
        value=repr(value[:80]),
    )


def _revision(value: str) -> str | None:
    # It becomes part of names such as istio-sidecar-injector-REVISION, which may not be longer than a label.
    if len(value) > _LONGEST_REVISION:
        return msg("{value} is longer than {most} characters", value=repr(value[:80]), most=_LONGEST_REVISION)
    if value == "default":
        return msg("'default' is what istioctl calls having none; leave it out")
    return _dns_label(value)


def _secret_name(value: str) -> str | None:
    if _DOMAIN.fullmatch(value) and len(value) <= _LONGEST_NAME:
        return None
    return msg("{value} is no name of a Secret, such as registry-credentials", value=repr(value[:80]))


def _trust_domain(value: str) -> str | None:
    if _DOMAIN.fullmatch(value) and len(value) <= _LONGEST_NAME:
        return None
    return msg("{value} is no trust domain, such as cluster.local", value=repr(value[:80]))


def _hub(value: str) -> str | None:
    if _IMAGE_PREFIX.fullmatch(value):
        return None
    return msg("{value} is no image prefix, such as registry.example.com/istio", value=repr(value[:80]))


def _image(value: str) -> str | None:
    if _IMAGE.fullmatch(value):
        return None
    return msg("{value} is no image name, such as curlimages/curl:8.16.0", value=repr(value[:80]))


def _version(value: str) -> str | None:
    if _VERSION.fullmatch(value):
        return None
    return msg("{value} is no Istio version, such as 1.29.1", value=repr(value[:40]))


def _address(value: str) -> str | None:
    address = address_of(value)
    if address is None:
        return msg(
            "{value} is no IP address; other clusters reach the gateway at a node's address, such as 10.20.144.83",
            value=repr(value[:80]),
        )
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return msg("{address} cannot be reached from another cluster", address=value)
    return None


def _host(value: str) -> str | None:
    """An IP address that peers can reach, or a host name, which only a load balancer has."""
    if _DOMAIN.fullmatch(value) and not re.fullmatch(r"[0-9.]+", value) and len(value) <= _LONGEST_NAME:
        return None if value != "localhost" else msg("{address} cannot be reached from another cluster", address=value)
    return _address(value)


def _cidr(value: str) -> str | None:
    if range_of(value):
        return None
    return msg("{value} is no range of addresses, such as 10.96.0.0/16", value=repr(value[:80]))


def _sample_version(value: str) -> str | None:
    if _SAMPLE_VERSION.fullmatch(value):
        return None
    return msg("{value} is no sample version, such as v1", value=repr(value[:40]))


def _node_port(value: str) -> str | None:
    # Which of them a cluster gives is its API server's business.
    if value.isdecimal() and 1 <= int(value) <= _LAST_PORT:
        return None
    return msg("{value} is no port: 1 to {last}", value=value, last=_LAST_PORT)


def _api_server(value: str) -> str | None:
    found = re.fullmatch(r"https://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:([0-9]{1,5}))?/?", value)
    if not found and re.fullmatch(r"https://[^/?#@\s]+/[^?#\s]+", value):
        return msg(
            "{value} has a path, so what answers there is a proxy that knows neither the certificate nor the token of a remote "
            "secret; give the API server's own address, such as https://10.20.144.83:6443",
            value=repr(value[:80]),
        )
    if not found or (found[3] and int(found[3]) > _LAST_PORT):
        return msg("{value} is no API server address, such as https://10.20.144.83:6443", value=repr(value[:80]))
    if found[1].strip("[]") in {"localhost", "127.0.0.1", "::1", "0.0.0.0"} or found[1].startswith("127."):  # noqa: S104 - refused, not bound
        return msg(
            "{url} means this machine; other clusters need the address at which they reach the API server", url=value
        )
    return None


def _sample_namespace(value: str) -> str | None:
    if value in _RESERVED_NAMESPACES:
        return msg(
            "{namespace} holds other things; choose a namespace of its own, such as sample", namespace=repr(value)
        )
    return _dns_label(value)


def _whole(pattern: re.Pattern[str], **more: Any) -> dict[str, Any]:
    return {"pattern": f"^({pattern.pattern})$", **more}


DNS_LABEL = Rule(_dns_label, _whole(_LABEL))
NETWORK = Rule(_network, _whole(_LABEL_VALUE))
REVISION = Rule(_revision, _whole(_LABEL, maxLength=_LONGEST_REVISION) | {"not": {"const": "default"}})
SECRET_NAME = Rule(_secret_name, _whole(_DOMAIN, maxLength=_LONGEST_NAME))
TRUST_DOMAIN = Rule(_trust_domain, _whole(_DOMAIN, maxLength=_LONGEST_NAME))
HUB = Rule(_hub, _whole(_IMAGE_PREFIX))
IMAGE = Rule(_image, _whole(_IMAGE))
VERSION = Rule(_version, _whole(_VERSION))
# Of addresses only the characters: which of them are one, a pattern that a person can read does not say.
ADDRESS = Rule(_address, {"pattern": "^[0-9A-Fa-f:.]+$"})
HOST = Rule(_host, {"pattern": "^[0-9A-Za-z:.-]+$", "maxLength": _LONGEST_NAME})
CIDR = Rule(_cidr, {"pattern": "^[0-9A-Fa-f:.]+(/[0-9.]+)?$"})
SAMPLE_VERSION = Rule(_sample_version, _whole(_SAMPLE_VERSION))
NODE_PORT = Rule(_node_port, {"minimum": 1, "maximum": _LAST_PORT})
API_SERVER = Rule(_api_server, {"pattern": "^https://[^/]+/?$"})
SAMPLE_NAMESPACE = Rule(_sample_namespace, _whole(_LABEL) | {"not": {"enum": list(_RESERVED_NAMESPACES)}})

TOLERATIONS = Rule(
    wrong_tolerations,
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "key": {"type": "string"},
                "operator": {"enum": [*OPERATORS, ""]},
                "value": {"type": "string"},
                "effect": {"enum": [*EFFECTS, ""]},
                "tolerationSeconds": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": False,
        },
    },
)
HELD_TOLERATIONS = Held(
    lambda entries: tuple(map(toleration_of, entries)), lambda held: [each.manifest() for each in held]
)
ANNOTATIONS = Rule(wrong_annotations, {"type": "object", "additionalProperties": {"type": "string"}})
HELD_ANNOTATIONS = Held(lambda mapping: tuple(dict(mapping).items()), dict)
