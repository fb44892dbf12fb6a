"""The console entry. Kept light: what `--version` does not need is imported only when something else is asked for."""

from __future__ import annotations

import os
import sys
import warnings

from wizard import __version__


def main() -> None:
    """Run the command line in `sys.argv` and end the process with the exit code that the contract promises."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets a substitute, never an exception.
            stream.reconfigure(errors="replace")
    if sys.argv[1:] == ["--version"]:
        leave(_say(f"meshwizard {__version__}\n"))
    if not sys.warnoptions:  # a developer asks for them by -W or PYTHONWARNINGS
        warnings.simplefilter("ignore")
    try:
        from wizard.commands.main import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before there was anybody to tell it
        code = 130
    leave(code)


def _say(text: str) -> int:
    try:
        if sys.stdout is not None:
            sys.stdout.write(text)
    except OSError:
        return 1
    return 0


def leave(code: int) -> None:
    started = sys.modules.get("wizard.process")
    if started is not None:
        started.end_all()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            # Nobody reads any more. Without this the interpreter would complain about it while it shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or 1
        except ValueError:
            pass
    if code == 130:
        # A person who interrupts does not wait for threads that are still listening to a slow cluster.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
