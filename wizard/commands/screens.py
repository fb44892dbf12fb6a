"""The way to the whole-screen wizard: the only arrow from this package to `screens`, followed only at run time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wizard.console.settings import Settings
from wizard.mesh.document import Document
from wizard.text import printable

if TYPE_CHECKING:
    from state import StateFolder
    from wizard.outside import Outside


def open_screens(
    settings: Settings,
    outside: Outside,
    folder: StateFolder,
    *,
    document: Document | None = None,
    resume: str | None = None,
    auto: bool = False,
) -> int:
    """Run the wizard on the whole screen; gives the exit code, with the farewell printed. `resume`: go straight to the install
    of this recorded mesh. Raises Failed when it breaks down.
    """
    if settings.no_color:
        os.environ["NO_COLOR"] = "1"  # Textual reads it when it is imported
    from screens.app import WizardApp

    app = WizardApp(
        outside, folder, istioctl=settings.istioctl, document=document, resume=resume, auto=auto, log_file=settings.log
    )
    code = app.run_wizard()
    if app.farewell:
        settings.out.line(printable(app.farewell, 20_000))
    return code
