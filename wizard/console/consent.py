"""Asks a person who is there for what is otherwise given by an option."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from wizard.clusters.consents import Unconsented
from wizard.console.output import Output, echo, has_terminal
from wizard.messages import msg
from wizard.messages.catalogue import rendered, tr
from wizard.operations.operation import Operation
from wizard.text import printable, shown

T = TypeVar("T")


def consenting(work: Callable[[], T]) -> T:
    """The result of `work`, done again once a person agreed to what it lacks a consent for. Raises Unconsented where the person
    does not, or nobody is there.
    """
    while True:
        try:
            return work()
        except Unconsented as missing:
            if not has_terminal():
                raise
            echo(shown(rendered(printable(missing.asked))), err=True)
            if not click.confirm(tr("Do you trust it?"), default=False, err=True):
                raise
            missing.agree()


def agreed(operation: Operation, out: Output, *, json: bool = False) -> bool:
    """Whether the operation may begin: what it needs a consent for is shown and asked. NeedsPerson where nobody can be asked, or
    where something else must be done first.
    """
    consent = operation.consent()
    if consent is None:
        return True
    if json or not has_terminal():
        raise consent.unasked
    for line in consent.lines:
        out.line(line)
    if click.confirm(rendered(consent.question), default=False):
        return True
    if consent.declined:
        raise consent.declined
    out.line(msg("Nothing was changed."))
    return False
