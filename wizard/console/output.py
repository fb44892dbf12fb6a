"""How the commands speak: sentences and columns, with or without colour, on terminals that can or cannot show `✔`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from wizard.errors import BadInput, Trouble
from wizard.messages.catalogue import rendered, tr
from wizard.messages.cells import padded, widest
from wizard.text import as_json, one_line, printable, shown, tamed

log = logging.getLogger(__name__)

_ASCII = str.maketrans(
    {"✔": "+", "✘": "x", "▸": ">", "…": "...", "–": "-", "·": ".", "→": "->", "↩": "<-", "│": "|", "⚠": "!", "×": "x"}
)


def is_dumb() -> bool:
    """Whether the terminal says that it can only print lines."""
    return os.environ.get("TERM", "").lower() == "dumb"


def has_terminal() -> bool:
    """Whether a person can both read and answer here."""
    streams = (sys.stdin, sys.stdout)
    return all(stream is not None and not stream.closed and stream.isatty() for stream in streams)


def speaks_unicode() -> bool:
    """Whether stdout can carry more than ASCII."""
    return "utf" in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()


class OutputLost(OSError):
    """What was to be written to stdout or stderr could not be: a full disk, a terminal that is gone."""


@contextmanager
def losable() -> Iterator[None]:
    """What is written inside may get lost, and nothing is raised where nobody reads it: neither what else is to be done nor an
    exit code may depend on that.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        log.info("not shown: %s", error)


def _silence(stream: TextIO | None) -> None:
    """Let what is still to come on this broken stream go nowhere. Else the interpreter would complain of it at its end, with an
    exit code of its own.
    """
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def echo(text: str, *, err: bool = False, color: bool | None = None) -> None:
    """Write a line. Raises OutputLost where it cannot be; what comes after it on that stream goes nowhere, and raises nothing."""
    try:
        click.echo(text, err=err, color=color)
    except OSError as error:
        _silence(sys.stderr if err else sys.stdout)
        raise OutputLost(error.errno, error.strerror) from error


class Output:
    """Writes for a person, in their language where it is given messages. Results go to stdout, troubles and remarks to stderr."""

    def __init__(self, *, color: bool = True, verbose: bool = False) -> None:
        """`color` False turns it off; True leaves it on where the stream is a terminal that is not dumb."""
        self._color: bool | None = None if color and not os.environ.get("NO_COLOR") and not is_dumb() else False
        self.verbose = verbose

    def line(self, text: str = "") -> None:
        """One line, or several, on stdout."""
        self._write(rendered(text), err=False)

    def data(self, text: str) -> None:
        """Something for a program to read: on stdout, never changed."""
        echo(text, color=False)

    def json(self, value: Any, *, indent: int | None = 2) -> None:
        """One JSON value on stdout."""
        self.data(as_json(tamed(value, 30_000), indent=indent))

    def remark(self, text: str) -> None:
        """A line that is no result, on stderr."""
        self._write(rendered(text), err=True)

    def trouble(self, trouble: Trouble) -> None:
        """What went wrong and what to do, on stderr; every mistake on a line of its own."""
        self._write(f"{self.style(tr('Error:'), 'red')} {rendered(printable(trouble.what))}", err=True)
        if isinstance(trouble, BadInput):
            for mistake in trouble.mistakes:
                self._write(f"  {rendered(one_line(mistake.told, 600))}", err=True)
        self.remedy(trouble.remedy)

    def remedy(self, text: str) -> None:
        """What to do next, on stderr; nothing where there is nothing to say."""
        if text:
            self._write(rendered(printable(text)), err=True)

    def style(self, text: str, color: str, *, bold: bool = False) -> str:
        """`text` in a colour; never the only carrier of a meaning."""
        return text if self._color is False else click.style(text, fg=color, bold=bold)

    def _write(self, text: str, *, err: bool) -> None:
        stream = sys.stderr if err else sys.stdout
        if stream is not None and "utf" not in (getattr(stream, "encoding", None) or "utf-8").lower():
            text = text.translate(_ASCII)
        echo(shown(text), err=err, color=self._color)


def columns(rows: Iterable[Sequence[str]], *, indent: str = "  ") -> list[str]:
    """Rows as aligned lines, in the person's language. Cells are made single printable lines."""
    table = [[rendered(one_line(cell)) for cell in row] for row in rows]
    widths = [widest(column) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [padded(cell, width) for cell, width in zip(row, widths, strict=True)]
        lines.append((indent + "  ".join(cells)).rstrip())
    return lines
