"""Asks a person who is there for what is otherwise given by --consent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from wizard.clusters.consents import Unconsented
from wizard.console.output import echo, has_terminal
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
            echo(shown(printable(missing.asked)), err=True)
            if not click.confirm("Do you trust it?", default=False, err=True):
                raise
            missing.agree()
