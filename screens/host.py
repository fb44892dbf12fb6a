"""What the screens know of the app that shows them: the answers, the run, and the ways on. The app itself knows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from screens.draft import Draft
    from screens.run import Run
    from state import StateFolder
    from wizard.errors import Trouble
    from wizard.mesh.model import Mesh
    from wizard.operations.operation import Operation
    from wizard.operations.prepared import Prepared
    from wizard.outside import Outside

T = TypeVar("T")


class Host(Protocol):
    """The app, as its screens see it."""

    ascii: bool  # the terminal lacks box characters
    colourless: bool
    outside: Outside
    folder: StateFolder
    log_file: Path | None
    active_run: Run | None

    @property
    def draft(self) -> Draft:
        """The answers."""

    @property
    def running(self) -> bool:
        """Whether an install is going on."""

    def background(
        self, work: Callable[[], T], then: Callable[[T], None], failed: Callable[[Trouble], None] | None = None
    ) -> None:
        """Do `work` in a thread; then, in the app's thread, `then(result)` or `failed(trouble)`."""

    def go(self, stage: str) -> None:
        """Show that stage."""

    def prepare(self, mesh: Mesh) -> Prepared:
        """This mesh, prepared for an operation; what was prepared before is closed. Blocks, and raises Trouble."""

    def start_run(self, operation: Operation) -> None:
        """Do this, and what follows it, in a thread of its own."""

    def resume(self, name: str) -> None:
        """Go on with a saved mesh."""

    def change(self, document: Mapping[str, Any]) -> None:
        """Take up a recorded mesh's answers, to answer otherwise."""

    def running_marker(self, stage: str) -> str:
        """What the head says of a run that goes on while that stage is shown."""

    def finish(self) -> None:
        """Leave."""
