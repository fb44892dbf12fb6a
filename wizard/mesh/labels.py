"""Kubernetes' rules for the keys of labels and annotations, and for the values of labels."""

from __future__ import annotations

import re

from wizard.messages import msg

_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
MAX_PREFIX = 253
MAX_ANNOTATIONS = 256 * 1024  # bytes of all keys and values of one object


def is_label_value(value: str) -> bool:
    """Whether this may be the value of a label; the empty one may."""
    return _VALUE.fullmatch(value) is not None


def is_label_key(key: str) -> bool:
    """Whether this may be the key of a label or an annotation: `name` or `domain/name`."""
    prefix, slash, name = key.rpartition("/")
    if slash and not is_domain(prefix):
        return False
    return bool(name) and is_label_value(name)


def is_domain(value: str) -> bool:
    """Whether this is a domain name (a DNS subdomain)."""
    return _PREFIX.fullmatch(value) is not None and len(value) <= MAX_PREFIX


def wrong_annotations(value: object) -> str | None:
    """What is wrong with this mapping of annotations, as a sentence, or None."""
    if not isinstance(value, dict):
        return msg("must be a mapping of annotations to texts")
    for key, text in value.items():
        if not isinstance(key, str) or not is_label_key(key):
            return msg("{key} is no key of an annotation, such as example.com/name", key=repr(str(key)[:80]))
        if not isinstance(text, str):
            return msg("{key} must be text (quote it)", key=key)
    if sum(len(key.encode()) + len(text.encode()) for key, text in value.items()) > MAX_ANNOTATIONS:
        return msg("holds more than the {size} KiB that Kubernetes takes", size=MAX_ANNOTATIONS // 1024)
    return None
