"""What survives a run: one JSON state file per mesh, its lock, its earlier generations.

The clusters are the truth; a state file records intent and progress, so that losing it costs nothing but time.
Names are loaded when first used, so that `import state` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # type checkers read it as true; importing typing would cost more than all the rest here
if TYPE_CHECKING:
    from .errors import NotAName, StateBusy, StateDamaged, StateError, StateTooNew, StateWriteFailed, WrongCluster
    from .folder import StateFolder, default_folder
    from .guard import redact
    from .journal import Journal
    from .records import EndStatus, MeshState, Status, StepRecord, Unreadable

__all__ = [
    "EndStatus",
    "Journal",
    "MeshState",
    "NotAName",
    "StateBusy",
    "StateDamaged",
    "StateError",
    "StateFolder",
    "StateTooNew",
    "StateWriteFailed",
    "Status",
    "StepRecord",
    "Unreadable",
    "WrongCluster",
    "default_folder",
    "redact",
]

_HOMES = {
    "errors": (
        "NotAName",
        "StateBusy",
        "StateDamaged",
        "StateError",
        "StateTooNew",
        "StateWriteFailed",
        "WrongCluster",
    ),
    "folder": ("StateFolder", "default_folder"),
    "guard": ("redact",),
    "journal": ("Journal",),
    "records": ("EndStatus", "MeshState", "Status", "StepRecord", "Unreadable"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
