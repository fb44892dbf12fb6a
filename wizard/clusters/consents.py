"""What the person agreed to: a kubeconfig is a program of whoever wrote it, since it may run commands for credentials.

Those of the person's own kubeconfigs run for the contexts that the person chose, as they do for kubectl. What another file
names, such as one that came with a mesh file, runs once the person agreed to it, having seen the command and its path. That is
remembered, by hash: of the file's path, of the command with all that it is given, and of what no PATH led to, such as a script
beside the kubeconfig.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from state import StateError
from state.files import open_folder
from state.records import now
from wizard.clusters.plugin import Plugin
from wizard.errors import NeedsPerson
from wizard.messages import counted, joined, msg
from wizard.paths import expanded
from wizard.text import listing, one_line, quoted

log = logging.getLogger(__name__)

FILE = "consents.json"
MOST = 1000  # that are remembered; the oldest go first
_LIMIT = 1 << 20  # bytes of that file


class Unconsented(NeedsPerson):
    """Something would run, or be read, that nobody agreed to. `agree`: to be called where the person does."""

    def __init__(self, what: str, remedy: str, asked: str, agree: Callable[[], None]) -> None:
        """`asked`: the question to a person who is there."""
        super().__init__(what, remedy)
        self.asked = asked
        self.agree = agree


class Consents:
    """What the person agreed to. Thread-safe."""

    def __init__(self, folder: Callable[[], Path] | None = None, given: Collection[str] = ()) -> None:
        """`folder`: where it is remembered, private as the state is; None: nowhere. `given`: paths agreed to beforehand."""
        self._folder = folder
        self._given = {str(expanded(path).absolute()) for path in given}
        self._lock = threading.Lock()
        self._agreed: dict[str, dict[str, str]] | None = None

    def given(self, path: Path | str) -> bool:
        """Whether this path was agreed to beforehand."""
        return str(expanded(path).absolute()) in self._given

    def may_run(self, plugin: Plugin) -> bool:
        """Whether it was agreed to."""
        with self._lock:
            return plugin.mark in self._known() or bool(plugin.path and self.given(plugin.path))

    def give(self, paths: Iterable[Path]) -> None:
        """The person agrees to these files, for this run."""
        with self._lock:
            self._given |= {str(expanded(path).absolute()) for path in paths}

    def agree(self, plugins: Iterable[Plugin]) -> None:
        """The person agrees to these. Where that cannot be remembered it holds for this run."""
        with self._lock:
            known = self._known()
            new = {
                plugin.mark: {"kubeconfig": str(plugin.kubeconfig), "path": plugin.path, "agreed": now()}
                for plugin in plugins
                if plugin.mark not in known
            }
            if not new:
                return
            known |= new
            for mark in list(known)[:-MOST]:
                del known[mark]
            self._remember(known)

    def refuse_others(self, plugins: Mapping[str, Plugin]) -> None:
        """Raises Unconsented where one of these, by the name of its cluster, may not run."""
        asked = {name: plugin for name, plugin in plugins.items() if not self.may_run(plugin)}
        if not asked:
            return
        first = next(iter(asked.values()))
        alike = [name for name, plugin in asked.items() if plugin.words == first.words and plugin.path == first.path]
        consent = " ".join(sorted({f"--consent {quoted(each.path)}" for each in asked.values() if each.path}))
        remedy = (
            msg("Look at it. If you trust it, agree with {options}; in a terminal you are asked.", options=consent)
            if consent
            else msg("Look at it. If you trust it, agree with kubectl: use it once there; in a terminal you are asked.")
        )
        questions = [
            msg("{kubeconfig} runs {command} for credentials.", kubeconfig=one_line(each.kubeconfig), command=str(each))
            for each in asked.values()
        ]
        raise Unconsented(
            _unagreed(first, alike, len(asked) - len(alike)),
            remedy,
            joined(dict.fromkeys(questions)),
            lambda: self.agree(asked.values()),
        )

    def _known(self) -> dict[str, dict[str, str]]:
        if self._agreed is None:
            self._agreed = {}
            try:
                directory = open_folder(self._folder(), create=False) if self._folder else None
                if directory is not None:
                    with directory:
                        told = json.loads(directory.read(FILE, _LIMIT) or b"{}")
                    self._agreed = {str(mark): about for mark, about in told.items() if isinstance(about, dict)}
            except (StateError, OSError, ValueError, AttributeError, RecursionError) as error:
                log.info("what was agreed to cannot be read: %s", error)
        return self._agreed

    def _remember(self, known: Mapping[str, object]) -> None:
        try:
            directory = open_folder(self._folder(), create=True) if self._folder else None
            if directory is not None:
                with directory:
                    directory.replace(FILE, json.dumps(known, indent=1).encode(), 0)
        except (StateError, OSError) as error:
            log.info("what was agreed to cannot be remembered: %s", error)


def _unagreed(plugin: Plugin, clusters: list[str], others: int) -> str:
    """That nobody agreed to what these clusters run, and `others` run besides."""
    told = {"clusters": listing(clusters), "kubeconfig": one_line(plugin.kubeconfig), "command": str(plugin)}
    if not others:
        return msg(
            "{clusters}: {kubeconfig} runs {command} for credentials, and nobody agreed to that; nothing was run",
            **told,
        )
    return counted(
        "{clusters}: {kubeconfig} runs {command} for credentials, {count} more run others, and nobody agreed to that; "
        "nothing was run",
        "{clusters}: {kubeconfig} runs {command} for credentials, {count} more run others, and nobody agreed to that; "
        "nothing was run",
        others,
        **told,
    )
