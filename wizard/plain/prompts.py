"""Questions with questionary: arrow keys, a list to tick, an answer that can be edited in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import questionary
from prompt_toolkit.output import Output, create_output
from prompt_toolkit.output.vt100 import Vt100_Output

from wizard.messages.catalogue import rendered, tr
from wizard.plain.asking import Option
from wizard.text import one_line


class Prompts:
    """Implements `Asker` on a full terminal."""

    def __init__(self, say: Callable[[str], None], **io: Any) -> None:
        """`io` goes to prompt_toolkit: `input` and `output`, where they are not this terminal."""
        self._say = say
        self._io = {"output": io.pop("output", None) or _terminal(), **io}

    def text(self, title: str, *, default: str, hint: str, check: Callable[[str], str | None]) -> str:
        self._hint(hint)

        def validate(answer: str) -> bool | str:
            return rendered(check(answer.strip() or default) or "") or True

        answer: str = questionary.text(_asked(title), default=default, validate=validate, **self._io).unsafe_ask()
        return answer.strip() or default

    def choose(self, title: str, options: Sequence[Option], *, default: int = 0, hint: str = "") -> int:
        choices = _choices(options)
        found: str = questionary.select(
            _asked(title),
            choices=choices,
            default=choices[default],
            instruction=rendered(hint) or tr("(Use arrow keys)"),
            **self._io,
        ).unsafe_ask()
        return int(found)

    def choose_many(
        self, title: str, options: Sequence[Option], *, check: Callable[[list[int]], str | None], hint: str = ""
    ) -> list[int]:
        self._hint(hint)

        def validate(answer: list[str]) -> bool | str:
            return rendered(check(sorted(map(int, answer))) or "") or True

        found: list[str] = questionary.checkbox(
            _asked(title),
            choices=_choices(options),
            validate=validate,
            instruction=tr("(Use arrow keys to move, <space> to select, <a> to toggle, <i> to invert)"),
            **self._io,
        ).unsafe_ask()
        return sorted(map(int, found))

    def _hint(self, text: str) -> None:
        if text:
            self._say(f"  {rendered(text)}")


def _terminal() -> Output:
    """This terminal, which is not asked where its cursor is: of one that does not answer, prompt_toolkit complains."""
    output = create_output()
    if isinstance(output, Vt100_Output):
        output.enable_cpr = False
    return output


def _asked(title: str) -> str:
    return tr("{question}:", question=title)


def _choices(options: Sequence[Option]) -> list[questionary.Choice]:
    return [
        questionary.Choice(
            rendered(option.title), value=str(index), disabled=rendered(one_line(option.unavailable, 120)) or None
        )
        for index, option in enumerate(options)
    ]
