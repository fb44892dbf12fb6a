"""A language that is none: every letter of a message has a mark, so what is still plain English was never a message."""

from __future__ import annotations

import re
from collections.abc import Collection

import click

from wizard.clusters.kinds import KINDS
from wizard.commands.main import cli

_LETTERS = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "àƀćďëƒğħïĵķľṁñöṗɋřšťüṽẁẋÿžÀßĆĎËƑĞĦÏĴĶĽṀÑÖṖɊŘŠŤÜṼẀẊŸŽ",
)
_KEPT = re.compile(r"\{[^{}]*\}|`[^`]*`")  # values and commands are the same in every language
# What is the same in every language: commands as the program writes them, and a Kubernetes kind with a name.
_COMMANDS = "|".join(cli.list_commands(click.Context(cli)))
_NAMES = re.compile(
    rf"`[^`]*`|\bmeshwizard (?:{_COMMANDS})(?: merge)?\b|\b(?:kubectl|istioctl) (?=--)[^\n)]*|\bopenssl [a-z]+ -[^\n]*"
    rf"|\b(?:{'|'.join({*(kind.kind for kind in KINDS), 'Node'})}) [a-z0-9.-]+"
)
# Two words in a row that nobody marked.
_PLAIN = re.compile(r"(?<![\w|/.=<:-])[A-Za-z][a-z']+(?: [a-z][a-z']+)+(?![\w|/=:-])")


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
