"""The one lab that stands while a worker's tests run, in the shape that was asked for last."""

from __future__ import annotations

from typing import Protocol

from tests.lab import lab as lab_module
from tests.lab.lab import Lab
from tests.lab.proc import LabError, say
from tests.lab.shape import Shape


class LabOf(Protocol):
    """What tests have of it."""

    def __call__(self, shape: Shape, *, fresh: bool = True) -> Lab:
        """A lab of that shape. `fresh`: as it was right after it came up; else as the last test left it."""


class Standing:
    """Hands out the standing lab. Another shape ends the lab before: what was handed out is then dead."""

    def __init__(self) -> None:
        self._lab: Lab | None = None

    def __call__(self, shape: Shape, *, fresh: bool = True) -> Lab:
        """See `LabOf`."""
        lab = self._lab if self._lab and self._lab.shape == shape else self._found_or_made(shape)
        self._lab = lab
        if fresh and not lab.is_untouched():
            lab.reset()
        return lab

    def _found_or_made(self, shape: Shape) -> Lab:
        try:
            found = lab_module.find()
        except LabError:
            found = None
        if found and found.shape == shape and all(cluster.alive() for cluster in found.clusters):
            say("tests use the lab that is already up")
            return found
        self.end()
        return lab_module.up(shape)

    def end(self) -> None:
        """Take the lab down, if there is one."""
        self._lab = None
        lab_module.down()
