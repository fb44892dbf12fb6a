"""A language that is none: every letter of a message has a mark, so what is still plain English was never a message."""

from __future__ import annotations

import re
from collections.abc import Collection

_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "àƀćďëƒğħïĵķľṁñöṗɋřšťüṽẁẋÿžÀßĆĎËƑĞĦÏĴĶĽṀÑÖṖɊŘŠŤÜṼẀẊŸŽ",
)
_KEPT = re.compile(r"\{[^{}]*\}|`[^`]*`")  # values and commands are the same in every language
# What is the same in every language: commands, and a Kubernetes kind with a name.
_NAMES = re.compile(
    r"`[^`]*`|\bmeshwizard( [a-z]+)*|\b(kubectl|istioctl|openssl|bash|mv) [^\n)]*|\b[A-Z][a-z]+[A-Za-z]* [a-z0-9.-]+"
)
# Two words in a row that nobody marked.
_PLAIN = re.compile(r"(?<![\w|/.=<:-])[a-z][a-z']+(?: [a-z][a-z']+)+(?![\w|/.=:-])")


class Mangled:
    """A catalogue as `wizard.messages.catalogue.use` takes it."""

    def gettext(self, message: str) -> str:
        """The code with marks on its letters; values and commands stay."""
        parts, at = [], 0
        for kept in _KEPT.finditer(message):
            parts += [message[at : kept.start()].translate(_LETTERS), kept[0]]
            at = kept.end()
        return "".join([*parts, message[at:].translate(_LETTERS)])

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        """The same for a number."""
        return self.gettext(msgid1 if n == 1 else msgid2)


def plain_english(text: str, foreign: Collection[str] = ()) -> list[str]:
    """What in it reads as English though the language is another. `foreign`: texts that are not the program's own."""
    for each in sorted(foreign, key=len, reverse=True):
        text = text.replace(each, "·")
    return [found[0] for found in _PLAIN.finditer(_NAMES.sub("·", text))]
