"""Screens are tested without animations: what is painted is what stays."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.screens.textual_private import styles_parsed_once

os.environ["TEXTUAL_ANIMATIONS"] = "none"


@pytest.fixture(autouse=True, scope="session")
def _styles_are_parsed_once() -> Iterator[None]:
    with styles_parsed_once():
        yield
