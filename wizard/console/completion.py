"""How a shell is told what to offer where a person presses Tab. Whatever goes wrong, it is offered nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import click

from wizard.messages.catalogue import rendered
from wizard.text import harmless, one_line, quoted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"


def files(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Files and folders: the shell itself knows them."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="file")]


def choices(values: Sequence[str]) -> Completer:
    """One of these."""
    return names(lambda _: [(value, "") for value in values])


def names(listed: Callable[[click.Context], Iterable[tuple[str, str]]]) -> Completer:
    """Those of the (name, remark) that begin as what was typed."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        # A shell shows nothing of an error, and prints it into the line that is being typed.
        try:
            found = sorted(set(listed(context)))
        except Exception:
            return []
        return [
            CompletionItem(_word(name), help=rendered(one_line(told, 60))) for name, told in found if _fits(name, typed)
        ]

    return complete


def _fits(name: str, typed: str) -> bool:
    return name.startswith(typed) and harmless(name) and "\n" not in name and "\t" not in name


def _word(name: str) -> str:
    # bash takes over what it is given as it is; the others quote it.
    return quoted(name) if os.environ.get("_MESHWIZARD_COMPLETE", "").startswith("bash") else name
