"""The options that every command takes, before or after its name, and the doors they lead to."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wizard.console.completion import files
from wizard.console.help import option
from wizard.console.output import Output, losable
from wizard.errors import BadInput
from wizard.messages import msg
from wizard.paths import of_this_user
from wizard.text import printable

if TYPE_CHECKING:
    from state import StateFolder
    from wizard.clusters.consents import Consents
    from wizard.clusters.statesecret import StateSecrets
    from wizard.operations.options import RunOptions
    from wizard.outside import Outside

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Settings:
    """What was said by the common options."""

    state_dir: Path | None = None
    state: str | None = None  # a cluster that keeps the state instead, as `cluster://CONTEXT/NAMESPACE`
    istioctl: str | None = None
    consent: tuple[str, ...] = ()  # paths that the person agrees to beforehand
    kubeconfigs: tuple[Path, ...] = ()  # where to look for contexts, where a command takes them
    log: Path | None = None
    report: Path | None = None  # where a crash report may be written, by consent given beforehand
    no_color: bool = False
    verbose: bool = False
    _handler: _Log | None = None
    _folder: StateFolder | None = None
    _consents: Consents | None = None

    @property
    def consents(self) -> Consents:
        """What the person agreed to, in this run and before."""
        from state import default_folder
        from wizard.clusters.consents import Consents

        if self._consents is None:
            self._consents = Consents(lambda: self.state_dir or default_folder(), self.consent)
        return self._consents

    @property
    def out(self) -> Output:
        """Where commands speak."""
        return Output(color=not self.no_color, verbose=self.verbose)

    def start(self) -> None:
        """Make the options effective. Raises BadInput where the log cannot be written, or --state cannot be understood."""
        if self.state:
            from wizard.clusters.statesecret import parsed

            parsed(self.state)
        if self.log and self._handler is None:
            self._handler = _log_to(self.log, logging.DEBUG if self.verbose else logging.INFO)

    def close(self) -> None:
        """Close the log, and the door to a state elsewhere."""
        if self._folder:
            self._folder.close()
        if self._handler:
            for name in _OURS:
                logging.getLogger(name).removeHandler(self._handler)
            self._handler.close()
            if self._handler.lost:
                with losable():
                    self.out.remark(msg("The log is not whole: {problem}", problem=printable(self._handler.lost)))
            self._handler = None

    def folder(self) -> StateFolder:
        """Where the states are. Raises BadInput where the context of --state is not in the kubeconfigs."""
        from state import StateFolder, default_folder

        if self._folder is None:
            place = self.state_dir or of_this_user(
                default_folder, msg("say where progress is kept, with --state-dir DIR")
            )
            self._folder = StateFolder(place, shelf=self._shelf())
        return self._folder

    @property
    def place(self) -> str:
        """The options, after a space, that say where the states are; empty where they are in their usual place."""
        from wizard.operations.options import place_options

        return place_options(self.folder(), given=self.state_dir is not None)

    def _shelf(self) -> StateSecrets | None:
        if not self.state:
            return None
        from wizard.clusters.statesecret import StateSecrets, parsed

        context, namespace = parsed(self.state)
        outside = outside_of(self)
        # Without files of their own, kubectl finds the context where this did.
        entries = outside.contexts() if self.kubeconfigs else []
        kubeconfig = next((entry.kubeconfig for entry in entries if entry.context == context), None)
        return StateSecrets(outside.cluster(context, context), context, namespace, kubeconfig)

    def options(self, **consents: Any) -> RunOptions:
        """What the person says of a run: with these `consents`, as `RunOptions` names them."""
        from wizard.operations.options import RunOptions

        return RunOptions(istioctl=self.istioctl, given_folder=self.state_dir is not None, **consents)


def outside_of(settings: Settings) -> Outside:
    """The outside that commands work on: this machine. The one place to put another in its stead."""
    from wizard.real import RealOutside

    return RealOutside(settings.istioctl, settings.kubeconfigs, settings.consents)


def settings_of(context: click.Context) -> Settings:
    """The settings of this invocation, shared by the group and its commands."""
    root = context.find_root()
    if root.obj is None:
        root.obj = Settings()
    settings: Settings = root.obj
    return settings


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    # An option left out after the command's name must not undo the one given before it.
    if value not in (None, False, ()) and parameter.name:
        setattr(settings_of(context), parameter.name, value)


_option = functools.partial(option, expose_value=False, callback=_keep)
_file = click.Path(path_type=Path)
_OPTIONS = (
    _option("-v", "--verbose", is_flag=True, help=msg("Say more: commands, every line of progress.")),
    _option("--no-color", is_flag=True, help=msg("No colours (NO_COLOR does the same).")),
    _option("--log", type=_file, metavar="FILE", help=msg("Append a log to this file.")),
    _option(
        "--report",
        type=_file,
        metavar="FILE",
        help=msg("Where the wizard breaks down, tell why in this file, without secrets."),
    ),
    _option(
        "--istioctl",
        metavar="PATH",
        help=msg("The istioctl to use. Default: the one on the PATH."),
        shell_complete=files,
    ),
    _option(
        "--consent",
        multiple=True,
        metavar="PATH",
        help=msg(
            "Consent: run this command, which a kubeconfig of others names for credentials; read this file, which a state in a "
            "cluster names."
        ),
    ),
    _option(
        "--state",
        metavar="PLACE",
        help=msg("Keep progress in a cluster, for others to go on with: cluster://CONTEXT/NAMESPACE."),
    ),
    _option(
        "--state-dir",
        type=_file,
        metavar="DIR",
        help=msg("Where progress is kept. Default: the platform's state folder."),
    ),
)


def consent_options(function: F) -> F:
    """Give a click command `take_over`, `rebuilt` and `unverified`, for `RunOptions`."""
    function = option(
        "--unverified",
        multiple=True,
        metavar="NAME",
        help=msg(
            "Consent: keys are sent to this cluster, though its certificate is not verified (insecure-skip-tls-verify)."
        ),
    )(function)
    function = option(
        "--rebuilt",
        multiple=True,
        metavar="NAME",
        help=msg("Consent: this cluster was made anew under its old name. What is recorded of it is forgotten."),
    )(function)
    return option(
        "--take-over",
        is_flag=True,
        help=msg(
            "Consent: take clusters over from a run on another machine that gives no sign of life. It must have ended."
        ),
    )(function)


def version_option(function: F) -> F:
    """Give a click command `version_step`, for `RunOptions`."""
    return option(
        "--version-step",
        is_flag=True,
        help=msg("Consent: an older Istio than stands there, or one that is more than one minor version newer."),
    )(function)


def common_options(function: F) -> F:
    """Give a click command the common options; they arrive in the settings, not as arguments."""
    for common in _OPTIONS:
        function = common(function)
    return function


def with_settings(function: Callable[..., int]) -> Callable[..., int]:
    """Call the command with the settings as its first argument, once they are effective."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> int:
        settings = settings_of(click.get_current_context())
        settings.start()
        return function(settings, *args, **kwargs)

    return common_options(call)


class _Careful(logging.Formatter):
    """Log lines hold foreign text and tracebacks; neither may carry escape sequences or credentials into the file."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), 20_000)


class _Log(logging.FileHandler):
    """A log on a full disk ends; it takes nothing else with it. `lost`: why, empty while all could be written."""

    lost = ""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        self.lost = self.lost or str(sys.exc_info()[1])

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            self.lost = self.lost or str(error)


# Only our own loggers, and no chatter of libraries: at DEBUG the Kubernetes client writes whole answers, with tokens.
_OURS = ("wizard", "screens", "state")


def _log_to(path: Path, level: int) -> _Log:
    try:
        # Not blocking: a pipe that nobody reads would hold the program up. It is refused; what is lost in a full one is told.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise BadInput(
            msg("the log {file} cannot be written: {problem}", file=printable(path), problem=str(error.strerror)),
            msg("Give another file with --log."),
        ) from error
    handler = _Log(os.devnull, delay=True)
    handler.stream = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Careful("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"))
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addHandler(handler)
    return handler
