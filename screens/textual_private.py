"""Whatever this program uses of Textual's inside: names with a leading underscore, which a new Textual may change without a word.

Each was read in Textual 8.2.8. Whoever takes another Textual compares them with its source, here and nowhere else:
`tests/unit/test_textual_private.py` refuses them in other files.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App


class OpenApp(App[int]):
    """An app that decides itself what follows from a defect, and that can be reached and ended in the middle of anything."""

    def defect(self, error: Exception) -> None:
        """Nothing has caught this error. To be overridden; ends the app."""
        self.end_at_once(1)

    def end_at_once(self, code: int) -> None:
        """End with that return code, whatever state the app is in."""
        # As Textual's own last resort does it. `exit` is handled by the app, and here it is the handling that failed.
        self._return_code = code
        self._close_messages_no_wait()

    def call_soon(self, act: Callable[[], object]) -> None:
        """Have this called by the app's loop; from any thread and from signal handlers. Nothing happens before the loop runs."""
        # `call_from_thread` waits for the answer and refuses the app's own thread, in which signals are handled.
        if self._loop is not None:
            self._loop.call_soon_threadsafe(act)

    def _handle_exception(self, error: Exception) -> None:
        # What Textual does here has no public way around it: it prints a traceback with everybody's locals.
        if self._exception is None:  # what a test's pilot raises again
            self._exception = error
            self._exception_event.set()
        self.defect(error)
