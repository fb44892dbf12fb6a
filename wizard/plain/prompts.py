"""Questions with questionary: arrow keys, a list to tick, an answer that can be edited in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import questionary
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from wizard.plain.asking import Option
from wizard.text import one_line


class Prompts:
    """Implements `Asker` on a full terminal."""

    def __init__(self, say: Callable[[str], None], **io: Any) -> None:
        """`io` goes to prompt_toolkit: `input` and `output`, where they are not this terminal."""
        self._say = say
        self._io = {"output": io.pop("output", None) or _terminal(), **io}

    def text(self, title: str, *, default: str, hint: str, check: Callable[[str], str | None]) -> str:
        if hint:
            self._say(f"  {hint}")

        def validate(answer: str) -> bool | str:
            return check(answer.strip() or default) or True

        answer: str = questionary.text(f"{title}:", default=default, validate=validate, **self._io).unsafe_ask()
        return answer.strip() or default

    def choose(self, title: str, options: Sequence[Option], *, default: int = 0, hint: str = "") -> int:
        choices = _choices(options)
        found: str = questionary.select(
            f"{title}:", choices=choices, default=choices[default], instruction=hint or None, **self._io
        ).unsafe_ask()
        return int(found)

    def choose_many(
        self, title: str, options: Sequence[Option], *, check: Callable[[list[int]], str | None], hint: str = ""
    ) -> list[int]:
        if hint:
            self._say(f"  {hint}")

        def validate(answer: list[str]) -> bool | str:
            return check(sorted(map(int, answer))) or True

        found: list[str] = questionary.checkbox(
            f"{title}:", choices=_choices(options), validate=validate, **self._io
        ).unsafe_ask()
        return sorted(map(int, found))


def _terminal() -> Output:
    """This terminal, which is not asked where its cursor is: of one that does not answer, prompt_toolkit complains."""
    output = create_output()
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False
    return output


def _choices(options: Sequence[Option]) -> list[questionary.Choice]:
    return [
        questionary.Choice(option.title, value=str(index), disabled=one_line(option.unavailable, 120) or None)
        for index, option in enumerate(options)
    ]
