"""What looks at foreign text works in proportion to its length, whoever wrote it. Counted in steps, never in time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import state.guard
import state.withheld
import wizard.text
from tests.unit.regex_steps import steps

pytestmark = pytest.mark.promise(37)

PIECES = [
    "token", "token ", "token = ", "bearer ", "password:", "password: '", "client-key-data", "client-key-data:", "eyJ", "eyJ-",
    "eyJaaaaaa.", "-", "a", "aaaaaaaa", ".", " ", "\n", "\t", "=", "'", '"', ",", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----",
    "PRIVATE KEY", "-----END ", "-----END PRIVATE KEY-----", "LS0tLS1CRUdJTi", "://", "https://", "@", "\x1b", "\u26f5\ufe0f",
]  # fmt: skip


def stored(text: str) -> None:
    """As the state takes a text in, or refuses it."""
    with suppress(ValueError):
        state.guard.text(text, "a text")


CALLS: dict[str, tuple[ModuleType, Callable[[str], object]]] = {
    "printable": (wizard.text, wizard.text.printable),
    "one_line": (wizard.text, wizard.text.one_line),
    "shown": (wizard.text, wizard.text.shown),
    "state.redact": (state.guard, state.guard.redact),
    "state.text": (state.guard, stored),
    "withhold": (state.withheld, state.withheld.withhold),
}
_some = st.lists(st.sampled_from(PIECES), max_size=3).map("".join)
_unit = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join)


@pytest.mark.parametrize("name", CALLS)
@settings(deadline=None, max_examples=20)
@given(_some, _unit, _some)
@example("", "token = ", "")
@example("", "token ", "x")
@example("", "eyJ-", "")
@example("", "eyJ", "")
@example("", "eyJaaaaaa.", "eyJ")
@example("bearer", " ", "x")
@example("client-key-data", "\t", "x")
@example("-----BEGIN ", "PRIVATE KEY", "")
@example("-----BEGIN PRIVATE KEY-----", "-----END ", "")
@example("LS0tLS1CRUdJTi", "LS0tLS1CRUdJTi", "-")
@pytest.mark.inputs("S10")
def test_twice_the_text_is_twice_the_work(name: str, before: str, unit: str, after: str) -> None:
    module, call = CALLS[name]
    once, twice = (steps(module, call, before + unit * times + after) for times in (20, 40))
    assert twice <= 2.2 * once + 100


class Looked(str):
    """A text that counts how often a piece of it is looked at; of `HEAD` characters, which is how a value is looked for, or of
    whatever size.
    """

    heads = pieces = 0

    def __getitem__(self, key: Any) -> str:
        found = super().__getitem__(key)
        self.pieces += 1
        self.heads += len(found) == HEAD
        return found


HEAD = state.withheld.SHORTEST
VALUES = [
    "a" * 40,
    "a" * 39 + "b",
    "token = token = ",
    "eyJaaaaaa.eyJaaaaaa.",
    "\"',\"',\"',",
    "-----BEGIN x",
    "aaaa aaaa aaaa",
]


@pytest.mark.inputs("S6", "S10")
@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(VALUES), min_size=1), _some, _unit, _some)
@example(["a" * 39 + "b"], "", "a", "")
@example(["a" * 40], "", "aaaaaaaa", "-")
def test_values_are_looked_for_once(values: list[str], before: str, unit: str, after: str) -> None:
    held = state.withheld.Withheld()
    for value in values:
        held.hold(value)

    def questions(times: int) -> int:
        text = Looked(before + unit * times + after)
        held.withhold(text)
        return text.pieces

    assert questions(40) <= 2.2 * questions(20) + 100


@pytest.mark.inputs("S6")
def test_a_thousand_values_cost_no_more_questions_than_one() -> None:
    line = "cluster1: Get https://10.0.0.1:6443/api/v1/namespaces/istio-system/pods?limit=500 was refused " * 10
    counts = []
    for many in (1, 1000):
        held = state.withheld.Withheld()
        for number in range(many):
            held.hold(f"{number:04}-canary-token-canary-token-canary")
        text = Looked(line)
        assert held.withhold(text) == line
        counts.append(text.pieces)
    assert counts[1] <= counts[0]


def test_words_too_short_to_be_a_value_cost_no_question() -> None:
    held = state.withheld.Withheld()
    held.hold("a-canary")
    text = Looked("it does not say why it is so")
    assert held.withhold(text) == text
    assert text.pieces == 0
    text = Looked("it is no a-canary but a-cannon")
    assert held.withhold(text) == "it is no [withheld] but a-cannon"
    assert text.heads == 3, "two words may be the value, and the one that begins like it is compared"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_counted_is_what_python_does(text: str) -> None:
    for module, call in CALLS.values():
        counted: list[object] = []
        steps(module, lambda text, call=call, counted=counted: counted.append(call(text)), text)  # type: ignore[misc]
        assert counted == [call(text)]


@pytest.mark.inputs("S10")
def test_no_more_than_what_may_be_shown_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(wizard.text, "redact", lambda text: (looked.append(len(text)), text)[1])
    wizard.text.printable("x" * (1 << 20))
    wizard.text.one_line("-----BEGIN PRIVATE KEY-----" * 40_000)
    wizard.text.one_line("a " * (1 << 19))
    assert len(looked) == 3
    assert max(looked) <= 3 * 4096
