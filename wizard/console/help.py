"""The help of commands and options, in the person's language. click puts it together; what it shows is looked up when it asks.

A command's help is its function's docstring: each paragraph is a message, see `codes`. An option's help is a message, or a text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import click

from wizard.messages import Message, msg
from wizard.messages.catalogue import rendered, tr

F = TypeVar("F", bound=Callable[..., Any])

_AS_IT_IS = "\b\n"  # how a paragraph begins whose lines click leaves as they are
_HEADINGS = {"Options": msg("Options"), "Commands": msg("Commands")}


def codes(docstring: str) -> list[str]:
    """The codes of a docstring's messages: of each paragraph its lines joined by blanks. Of one that is shown as it stands the
    first line is a message, and the rest is an example.
    """
    return [code for code, _ in map(_parts, _paragraphs(docstring))]


def _paragraphs(docstring: str) -> list[str]:
    return [paragraph.strip("\n") for paragraph in inspect.cleandoc(docstring).split("\n\n") if paragraph.strip("\n")]


def _parts(paragraph: str) -> tuple[str, str]:
    """The code of its message, and what is no message."""
    said, example = paragraph, ""
    if paragraph.startswith(_AS_IT_IS):
        said, line_end, rest = paragraph.removeprefix(_AS_IT_IS).partition("\n")
        example = line_end + rest
    return " ".join(said.split()).replace("{", "{{").replace("}", "}}"), example


def _told(docstring: str) -> str:
    told = []
    for paragraph in _paragraphs(docstring):
        code, example = _parts(paragraph)
        mark = _AS_IT_IS if paragraph.startswith(_AS_IT_IS) else ""
        told.append(f"{mark}{rendered(Message(code, {}))}{example}")
    return "\n\n".join(told)


class Formatter(click.HelpFormatter):
    """Writes click's own words of a help page as messages."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The first line."""
        super().write_usage(prog, args, f"{tr('Usage:')} " if prefix is None else prefix)

    def write_heading(self, heading: str) -> None:
        """What stands above options and commands."""
        super().write_heading(rendered(_HEADINGS.get(heading, heading)))


class Context(click.Context):
    """Has help pages written by that."""

    formatter_class = Formatter


class Command(click.Command):
    """A command whose help is shown in the person's language."""

    context_class = Context

    @property
    def help(self) -> str | None:
        """What click shows of it on a help page, in a list of commands, and to a shell."""
        return None if self._help is None else _told(self._help)

    @help.setter  # noqa: A003 - click's own name
    def help(self, text: str | None) -> None:
        self._help = text

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, which click makes."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = tr("Show this message and exit.")
        return option


class Group(Command, click.Group):
    """The same for a command that has others."""

    command_class = Command


class Option(click.Option):
    """An option whose help, which may be a message, is shown in the person's language."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.help = attributes.get("help")  # click makes a plain text of it

    @property
    def help(self) -> str | None:
        """What click shows of it on a help page, and to a shell."""
        return None if self._help is None else rendered(self._help)

    @help.setter  # noqa: A003 - click's own name
    def help(self, text: str | None) -> None:
        self._help = text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its spellings and its help, with its default, its range, and whether it is required."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        extra = self.get_help_extra(ctx)
        told = [tr("default: {value}", value=extra["default"])] if "default" in extra else []
        told += [extra["range"]] if "range" in extra else []
        told += [tr("required")] if "required" in extra else []
        text = self.help or ""
        return record[0], f"{text}  [{'; '.join(told)}]" if told else text


def option(*names: str, **attributes: Any) -> Callable[[F], F]:
    """Give a click command an option whose help may be a message."""
    return click.option(*names, cls=Option, **attributes)
