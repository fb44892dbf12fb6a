"""The account with whose token the istiods of other clusters read this one, and what is known of such a token."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from wizard.checks.standing.view import Here
from wizard.clusters.kinds import SECRET, SERVICE_ACCOUNT, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE

READER = Ref(SERVICE_ACCOUNT, "istio-reader-service-account", SYSTEM_NAMESPACE)
_TYPE = "kubernetes.io/service-account-token"
_ACCOUNT = "kubernetes.io/service-account.name"
_LEGACY = "kubernetes.io/serviceaccount/"


@dataclass(frozen=True)
class Claims:
    """What a token says of itself. `secret`: the one that it is the token of; None where it is not bound to one; `uid`: of the
    account, empty where it does not say; `end`: None: never.
    """

    account: Ref | None
    uid: str
    secret: Ref | None
    end: datetime | None


def tokens(here: Here) -> list[Object]:
    """The Secrets with tokens of accounts in `istio-system`."""
    return [each for each in here.objects(SECRET, SYSTEM_NAMESPACE) if each.get("type") == _TYPE]


def token_secret(here: Here, token: str) -> Object | None:
    """The Secret of this cluster in which this very token is."""
    encoded = base64.b64encode(token.encode(errors="replace")).decode()
    claims = claims_of(token)
    named = here.get(claims.secret) if claims and claims.secret else None
    for each in (named, *tokens(here)):
        if each is not None and (each.get("data") or {}).get("token") == encoded:
            return each
    return None


def account_of(here: Here, token: str) -> Ref:
    """Whose token it is; where nothing tells, that of the account that Istio's charts make."""
    secret = token_secret(here, token)
    if secret is not None:
        metadata = secret["metadata"]
        name = (metadata.get("annotations") or {}).get(_ACCOUNT)
        return Ref(SERVICE_ACCOUNT, name, str(metadata["namespace"])) if name else READER
    claims = claims_of(token)
    return claims.account if claims and claims.account else READER


@lru_cache(maxsize=1024)
def claims_of(token: str) -> Claims | None:
    """What the token says of itself, unproven; None where it is none that can be read."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    bound = _mapping(said.get("kubernetes.io"))
    owner = _mapping(bound.get("serviceaccount"))
    namespace = str(bound.get("namespace") or said.get(f"{_LEGACY}namespace") or "")
    name = str(owner.get("name") or said.get(f"{_LEGACY}service-account.name") or "")
    secret = str(_mapping(bound.get("secret")).get("name") or said.get(f"{_LEGACY}secret.name") or "")
    return Claims(
        Ref(SERVICE_ACCOUNT, name, namespace) if name and namespace else None,
        str(owner.get("uid") or said.get(f"{_LEGACY}service-account.uid") or ""),
        Ref(SECRET, secret, namespace) if secret and namespace else None,
        _time(said.get("exp")),
    )


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
