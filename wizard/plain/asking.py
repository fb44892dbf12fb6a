"""What the questions need of whoever asks them. Two ask: `prompts.py` (questionary) and `numbered.py` (plain lines)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Option:
    """One thing to choose. `unavailable`: why it cannot be, empty where it can. Both may be messages."""

    title: str
    unavailable: str = ""


class Asker(Protocol):
    """Asks a person, and asks again until the answer fits. Raises KeyboardInterrupt or EOFError where the person leaves. Titles,
    hints and what `check` gives may be messages: they are shown in the person's language.
    """

    def text(self, title: str, *, default: str, hint: str, check: Callable[[str], str | None]) -> str:
        """A line of text for which `check` finds nothing wrong. An empty answer stands for the default."""
        ...

    def choose(self, title: str, options: Sequence[Option], *, default: int = 0, hint: str = "") -> int:
        """The index of one available option."""
        ...

    def choose_many(
        self, title: str, options: Sequence[Option], *, check: Callable[[list[int]], str | None], hint: str = ""
    ) -> list[int]:
        """The indexes of available options, in the order of the options, for which `check` finds nothing wrong."""
        ...
