"""The language of whoever sits before the program: messages become its words here, and only front ends ask for them."""

from __future__ import annotations

from typing import Any, Protocol

from state.message import chosen, cut
from wizard.messages import Message, counted, msg


class Catalogue(Protocol):
    """The texts of one language. gettext's classes are such."""

    def gettext(self, message: str) -> str:
        """The text for this code, with the same values in braces; the code itself where there is none."""
        ...

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The same for a code that depends on a number."""
        ...


class English:
    """The codes are English texts already."""

    def gettext(self, message: str) -> str:
        """The code."""
        return message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The code for that number."""
        return msgid1 if n == 1 else msgid2


class _Shown:
    """In what language."""

    catalogue: Catalogue = English()


def use(catalogue: Catalogue) -> None:
    """Show messages in this language from now on."""
    _Shown.catalogue = catalogue


def rendered(text: str) -> str:
    """A message in the person's language, its values too; any other text as it is."""
    if not isinstance(text, Message):
        return text
    language, code = _Shown.catalogue, text.code
    told = language.ngettext(code, text.many, text.values["count"]) if text.many else language.gettext(code)
    values = {
        name: value if isinstance(value, int | float) else rendered(value if isinstance(value, str) else str(value))
        for name, value in text.values.items()
    }
    try:
        return cut(told.format(**values), text.limit)
    except (KeyError, IndexError, ValueError, AttributeError):  # a translation names another value: then it is no help
        return cut(chosen(code, text.many, text.values).format(**values), text.limit)


def tr(code: str, /, **values: Any) -> str:
    """What a front end says itself, in the person's language: `tr("{count} of {total}", count=1, total=2)`."""
    return rendered(msg(code, **values))


def trn(one: str, many: str, count: int, /, **values: Any) -> str:
    """The same about a number of things."""
    return rendered(counted(one, many, count, **values))
