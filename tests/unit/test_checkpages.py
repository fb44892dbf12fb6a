"""Each check of a standing mesh has its page, with something on it."""

from __future__ import annotations

import re

import pytest

from tests import checkpages
from wizard.checks.standing.check import LAYERS, Check
from wizard.checks.standing.diagnosis import checks


def test_pages_are_what_the_checks_say() -> None:
    assert checkpages.differing() == [], "run `make pages`"


def test_ids_are_stable_names_and_each_stands_once() -> None:
    ids = [check.id for check in checks()]
    assert len(ids) == len(set(ids))
    assert [each for each in ids if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", each)] == []
    assert {check.layer for check in checks()} <= set(LAYERS)


@pytest.mark.parametrize("check", checks(), ids=lambda check: check.id)
def test_a_page_says_what_a_person_needs(check: Check) -> None:
    assert all(len(text) > 20 for text in (check.reads, check.means, check.arises, check.mend))
    assert len(check.short) <= 30
    assert not check.title.endswith(".")
