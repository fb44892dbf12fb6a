"""The user's own istioctl, as a program. Spellings are those of Istio 1.9 to 1.30."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from wizard import process, yamltext
from wizard.clusters.kinds import Object
from wizard.credentials import hold_secret
from wizard.errors import Failed, Interrupted
from wizard.istio.versions import remote_secret_command
from wizard.mesh.model import SYSTEM_NAMESPACE, Cluster
from wizard.messages import msg
from wizard.text import duration, one_line

_DOCUMENTS = re.compile(r"^---.*$", re.MULTILINE)
_DEFINITION = re.compile(r"^kind: CustomResourceDefinition\s*$", re.MULTILINE)
# How its lines begin: errors, what it is at, and what it adds to an error about its own options.
_ERROR = re.compile(r"(?:- )?✘|error\b", re.IGNORECASE)
_PROGRESS = re.compile(r"✔|- (?:Processing|Pruning) ")
_USAGE = re.compile(r"Usage:$")
_WORDS = 2000  # characters of an error
COMPONENT_SECONDS = 300  # how long istioctl itself waits for one component


class RealIstioctl:
    """An istioctl binary. Implements `wizard.istio.port.Istioctl`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known: str | None = None  # its version, which some spellings depend on

    def _version(self) -> str:
        with self._lock:
            if self._known is None:
                self._known = self.version()
            return self._known

    def version(self) -> str:
        done = process.run([self.path, "version", "--remote=false", "-o", "json"], seconds=30)
        try:
            return str(json.loads(done.stdout)["clientVersion"]["version"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Failed(
                msg(
                    "{istioctl} does not tell its version: {problem}",
                    istioctl=self.path,
                    problem=one_line(done.stderr or done.stdout) or msg("exit code {code}", code=done.code),
                ),
                msg("Give the istioctl of an Istio release with --istioctl."),
            ) from error

    def install(
        self,
        cluster: Cluster,
        operator: str,
        overlays: Sequence[Path],
        *,
        say: Callable[[str], None],
        cancelled: Callable[[], bool],
        seconds: float,
    ) -> None:
        files = [argument for path in overlays for argument in ("-f", str(path))]
        argv = [
            self.path,
            "install",
            *_at(cluster),
            "-y",
            "--readiness-timeout",
            f"{COMPONENT_SECONDS}s",
            *files,
            "-f",
            "-",
        ]
        done = process.run(argv, stdin=operator, seconds=seconds, line=say, cancelled=cancelled, changes=True)
        if done.stopped:
            if cancelled():
                raise Interrupted(
                    msg("{command} in {cluster} was stopped", command="istioctl install", cluster=cluster.name)
                )
            raise Failed(
                msg("{command} did not end within {time}", command="istioctl install", time=duration(seconds)),
                msg("See the log for what it waited for."),
            )
        if done.code:
            raise Failed(
                msg("{command}: {problem}", command="istioctl install", problem=last_words(done.stderr)),
                msg("See the log for all that istioctl said."),
            )

    def manifest(self, operator: str, overlays: Sequence[Path]) -> list[Object]:
        files = [argument for path in overlays for argument in ("-f", str(path))]
        done = process.run([self.path, "manifest", "generate", *files, "-f", "-"], stdin=operator, seconds=60)
        if done.code or done.stopped:
            raise Failed(
                msg("{command}: {problem}", command="istioctl manifest generate", problem=last_words(done.stderr)),
                msg("Try it by hand to see what it says."),
            )
        # The definitions of kinds are nine tenths of the text, and slow to read.
        documents = (text for text in _DOCUMENTS.split(done.stdout) if not _DEFINITION.search(text))
        return [item for text in documents for item in yamltext.load_all(text) if isinstance(item, dict)]

    def remote_secret(self, cluster: Cluster, *, server: str) -> Object:
        argv = [
            self.path, *remote_secret_command(self._version()), *_at(cluster),
            # Without -n istioctl takes the namespace of the kubeconfig's *current* context, whatever --context says.
            "-n", SYSTEM_NAMESPACE, "--name", cluster.name, "--server", server,
        ]  # fmt: skip
        # Where no token is there yet, it makes one in the cluster.
        done = process.run(argv, seconds=60, changes=True)
        if done.code or done.stopped:
            raise Failed(
                msg("{command}: {problem}", command="istioctl create-remote-secret", problem=last_words(done.stderr)),
                "",
            )
        try:
            documents = yamltext.load_all(done.stdout)
        except yaml.YAMLError:
            documents = []
        for document in documents:
            if isinstance(document, dict) and document.get("kind") == "Secret":
                hold_secret(document)
                return document
        raise Failed(
            msg("{command} gave no Secret", command="istioctl create-remote-secret"),
            msg("Try it by hand to see what it says."),
        )


def _at(cluster: Cluster) -> list[str]:
    kubeconfig = ["--kubeconfig", str(cluster.kubeconfig)] if cluster.kubeconfig else []
    return [*kubeconfig, "--context", cluster.context]


def last_words(stderr: str) -> str:
    """What istioctl said went wrong, on one line: all from its first error on, since a reason may span lines, without progress
    and the usage that it adds. Where nothing is called an error, its last lines. Cut in the middle at 2,000 characters.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if _ERROR.match(line)), None)
    told = lines[-3:] if first is None else lines[first:]
    usage = next((index for index, line in enumerate(told) if _USAGE.match(line)), None)
    said = list(dict.fromkeys(line for line in told[:usage] if not _PROGRESS.match(line)))
    whole = one_line(" ".join(said), 4 * _WORDS) or msg("it said nothing")
    half = _WORDS // 2  # of both ends: what was being done, and what stopped it
    return whole if len(whole) <= _WORDS else f"{whole[:half]} … {whole[-half:]}"
