"""Work in threads whose results come back to the app's own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from textual.app import App
from textual.message import Message

from wizard.errors import Failed, Trouble
from wizard.messages import msg
from wizard.text import one_line

T = TypeVar("T")
log = logging.getLogger(__name__)


class Finished(Message):
    """Work in the background ended; `call` says what came of it to whoever asked."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self.call = call


def in_background(
    app: App[Any], work: Callable[[], T], then: Callable[[T], None], failed: Callable[[Trouble], None]
) -> None:
    """Do `work` in a thread and hand its result to the app's own thread.

    A daemon thread of its own instead of Textual's worker pool: a call to a dead cluster must neither use up the pool
    nor keep the program from ending.
    """

    def run() -> None:
        try:
            result = work()
        except Trouble as trouble:
            caught = trouble
            app.post_message(Finished(lambda: failed(caught)))
        except Exception as error:
            what = msg("unexpected {kind}: {error}", kind=type(error).__name__, error=one_line(error))
            caught = Failed(what, msg("Please report this."))
            log.exception("background")
            app.post_message(Finished(lambda: failed(caught)))
        else:
            app.post_message(Finished(lambda: then(result)))

    threading.Thread(target=run, name="background", daemon=True).start()
