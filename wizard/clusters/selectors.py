"""Label selectors as objects hold them: matchLabels and matchExpressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wizard.clusters.kinds import Object


def selects(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether it selects what has these labels. An empty selector selects everything, and so does none at all."""
    wanted = (selector or {}).get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _holds(each, labels) for each in (selector or {}).get("matchExpressions") or []
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or []
    outcome: dict[Any, bool] = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return outcome.get(expression.get("operator"), False)
