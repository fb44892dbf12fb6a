"""Screens are tested without animations: what is painted is what stays."""

from __future__ import annotations

import os
from typing import Any

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

os.environ["TEXTUAL_ANIMATIONS"] = "none"


@pytest.fixture(autouse=True, scope="session")
def _styles_are_parsed_once() -> Any:
    """Textual parses all styles anew for each screen that comes with some: for a hundred apps, a third of their time."""
    parse = Stylesheet._parse_rules
    parsed: dict[object, list[RuleSet]] = {}

    def once(self: Stylesheet, *arguments: Any, **named: Any) -> list[RuleSet]:
        key = (tuple(self._variables.items()), arguments, tuple(named.items()))
        if key not in parsed:
            parsed[key] = parse(self, *arguments, **named)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", once)
        yield
