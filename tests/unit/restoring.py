"""A mesh that stands, for many tests of one module: what each changes of these kinds is as before after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.unit.conftest import Setting
from wizard.clusters.kinds import Kind, Object, Ref, ref_of
from wizard.simulated.machine import Machine

_OF_THE_STORE = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


@contextmanager
def restoring(made: Setting, *kinds: Kind) -> Iterator[Setting]:
    """The mesh, whose objects of these kinds are put back: what was changed is made anew, as it was."""
    before = [
        {ref_of(each): each for kind in kinds for each in machine.listed(kind)} for machine in made.outside.machines
    ]
    try:
        yield made
    finally:
        for machine, kept in zip(made.outside.machines, before, strict=True):
            _restore(machine, kept, kinds)


def _restore(machine: Machine, kept: dict[Ref, Object], kinds: tuple[Kind, ...]) -> None:
    standing = {ref_of(each): each for kind in kinds for each in machine.listed(kind)}
    touched = [ref for ref in {**standing, **kept} if standing.get(ref) is not kept.get(ref)]
    with machine.settled():
        for ref in touched:
            machine.store.remove(ref)
    with machine.settled():
        for ref in touched:
            if ref in kept:
                metadata = {key: value for key, value in kept[ref]["metadata"].items() if key not in _OF_THE_STORE}
                machine.store.update({**kept[ref], "metadata": metadata}, "restored")
