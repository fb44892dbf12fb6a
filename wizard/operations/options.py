"""What a person says of a run, beside the mesh."""

from __future__ import annotations

from dataclasses import dataclass

from state import StateFolder
from wizard.text import quoted


@dataclass(frozen=True)
class RunOptions:
    """Given before the run is prepared, and never changed after."""

    istioctl: str | None = None  # the one to use; None: that of the last run, else the first of the PATH
    given_folder: bool = False  # the state's folder is not the default one, so a command that resumes must name it
    ephemeral: bool = False  # nothing of the run outlives the program, as with the demo's clusters
    take_over: bool = False  # consent: take clusters over from a run on another machine that gives no sign of life
    version_step: bool = False  # consent: an older Istio than stands, or one more than one minor version newer
    rebuilt: tuple[str, ...] = ()  # clusters made anew under their old names: nothing that is recorded of them counts
    unverified: tuple[str, ...] = ()  # consent: clusters to send keys to, though it is not verified who answers there


def place_options(folder: StateFolder, *, given: bool) -> str:
    """The options, after a space, that say where the states are; empty where they are in their usual place."""
    shared = f" --state {quoted(folder.place)}" if folder.shelf else ""
    return shared + (f" --state-dir {quoted(folder.folder)}" if given else "")
