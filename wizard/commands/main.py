"""The command group, and the one place where troubles become sentences and exit codes."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from wizard import __version__
from wizard.console.background import signals_interrupt
from wizard.console.flags import mesh_flags
from wizard.console.help import Group, Option
from wizard.console.output import OutputLost, has_terminal, losable
from wizard.console.report import TRAIL, Trail, keeping, proposed, write
from wizard.console.settings import Settings, common_options, settings_of
from wizard.console.usage import as_message
from wizard.errors import BadInput, Failed, Interrupted, Trouble, state_trouble
from wizard.messages import msg
from wizard.messages.catalogue import tr
from wizard.text import one_line, printable

log = logging.getLogger(__name__)

PROGRAM = "meshwizard"
# In the order of the help page. A command's module is imported only when it is asked for.
_COMMANDS = (
    "demo", "plain", "plan", "apply", "resume", "status", "verify", "diagnose", "check", "uninstall", "adopt", "contexts",
    "export",
)  # fmt: skip


class _Commands(Group):
    """Finds each command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"wizard.commands.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - a mistake of ours, not of the user
        return command


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message=f"{PROGRAM} %(version)s", cls=Option, help=msg("Show the version and exit."))
@mesh_flags
@common_options
@click.pass_context
def cli(context: click.Context, /, **flags: Any) -> int:
    """From a few kubeconfig contexts to a verified Istio multicluster mesh.

    Without a command the wizard opens on the whole screen and asks; the flags below answer some of its questions.

    Exit codes: 0 done, 1 a step failed, 2 bad input and nothing touched, 3 a person is needed, 4 verification failed or a
    cause was found, 5 another run holds this mesh, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        given = [name for name, value in flags.items() if value]
        if given:
            flag = "--" + given[0].replace("_", "-")
            raise click.UsageError(
                msg("{option} belongs to the wizard without a command, or to `meshwizard plain`.", option=flag), context
            )
        return 0
    settings = settings_of(context)
    settings.start()
    return int(import_module("wizard.commands.start").start(settings, flags))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; gives the exit code. Never raises: every failure is told in a sentence on stderr."""
    settings = Settings()
    # Without a handler of its own, Python's logging would write warnings and tracebacks to the terminal.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        with signals_interrupt(), keeping() as trail:
            code = _run(list(arguments), settings)
            _report(trail, arguments, code, settings)
            return code
    except KeyboardInterrupt:
        return Interrupted.exit_code
    except SystemExit as ended:  # click has completed a word, or nobody listens any more
        return ended.code if isinstance(ended.code, int) else 1
    except BrokenPipeError:
        return 1
    except OSError as error:
        with losable():
            settings.out.remark(msg("Error: the output cannot be written: {problem}", problem=str(error.strerror)))
        return 1
    finally:
        settings.close()


def _run(arguments: list[str], settings: Settings) -> int:
    try:
        code = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=settings)
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        return _usage(error, settings)
    except (click.Abort, KeyboardInterrupt, EOFError):
        what = msg("stopped by you") if TRAIL.worked else msg("stopped by you; nothing was changed")
        return _tell(Interrupted(what, msg("To go on, give the same command again.")), settings)
    except Trouble as trouble:
        return _tell(trouble, settings)
    except (BrokenPipeError, OutputLost):
        raise
    except Exception as error:
        return _tell(_as_trouble(error, settings), settings)


def _asked(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command's name and the options given, by the names that we gave them: a report holds nothing that was typed."""
    named = next((word for word in arguments if word in _COMMANDS), "")
    command = cli.get_command(click.Context(cli), named) if named else None
    commands = [cli, command, *(command.commands.values() if isinstance(command, click.Group) else ())]
    known = {
        spelling: max(each.opts, key=len)
        for one in commands
        if one is not None
        for each in one.params
        if isinstance(each, click.Option)
        for spelling in (*each.opts, *each.secondary_opts)
    }
    given = []
    for word in arguments:
        spelling = word.split("=")[0] if word.startswith("--") else word[:2]
        if spelling in known:
            given.append(known[spelling])
    return named, given


def _report(trail: Trail, arguments: Sequence[str], code: int, settings: Settings) -> None:
    """Where a defect of ours was met: write the report, by consent. Never raises, and changes no exit code."""
    if not trail.defects or code == Interrupted.exit_code:
        return
    with contextlib.suppress(Exception, KeyboardInterrupt):
        path = settings.report or _consented(settings)
        if path is None:
            return
        trail.command, trail.options = _asked(arguments)
        problem = write(path, trail.text(code))
        name = one_line(path)
        if problem:
            settings.out.remark(
                msg("(the report could not be written to {file}: {problem})", file=name, problem=problem)
            )
        else:
            settings.out.remark(
                msg(
                    "The report is in {file}. Read it before you send it: it should hold no name and no value.",
                    file=name,
                )
            )


def _consented(settings: Settings) -> Path | None:
    """Where the person wants the report; None where not, or where nobody can answer."""
    if not has_terminal():
        settings.out.remark(
            msg("Run again with --report FILE, it tells there where it broke down, without names and secrets.")
        )
        return None
    path = proposed()
    try:
        question = tr("Write a report without names and secrets to {file}?", file=str(path))
        consent = click.confirm(question, default=False, err=True)
    except click.Abort:
        return None
    return path if consent else None


def _tell(trouble: Trouble, settings: Settings) -> int:
    log.info("%s: %s", type(trouble).__name__, trouble.what)
    with losable():
        settings.out.trouble(trouble)
    return trouble.exit_code


def _usage(error: click.ClickException, settings: Settings) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else PROGRAM
    with losable():
        settings.out.trouble(
            BadInput(as_message(printable(error.format_message())), msg("See `{command} --help`.", command=path))
        )
    return BadInput.exit_code


def _as_trouble(error: Exception, settings: Settings) -> Trouble:
    from state import StateError

    if isinstance(error, StateError):
        return state_trouble(error)
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    if settings.verbose:
        settings.out.remark(printable("".join(traceback.format_exception(error)), 20_000))
    where = (
        msg("The log {file} says where; please report this with it.", file=printable(settings.log))
        if settings.log
        else msg("Run it again with --log FILE -v, and please report this with that file.")
    )
    return Failed(msg("unexpected {kind}: {problem}", kind=type(error).__name__, problem=one_line(error)), where)
