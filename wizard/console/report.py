"""The crash report: what those who mend a defect of ours need to know, and nothing of whoever met it.

It is kept in memory as the program runs and written only by consent, given beforehand (`--report FILE`) or when asked. It is put
together from what may be in it, never by taking out what may not: kinds, counts and code positions, no values. Of an exception's
words only those remain that stand in the program's own source.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import keyword
import logging
import os
import platform
import re
import sys
import sysconfig
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING

from wizard import __version__
from wizard.engine.events import Event, RunEnded, StepChanged
from wizard.text import one_line, redact

if TYPE_CHECKING:
    from wizard.engine.step import Plan
    from wizard.mesh.model import Mesh

OURS = ("wizard", "screens", "state")  # the loggers, and the packages
MOST_DEFECTS = 5
MOST_EVENTS = 40
MOST_FRAMES = 60
_LIBRARIES = ("textual", "rich", "kubernetes", "urllib3", "cryptography", "click", "questionary", "PyYAML")
# Of CPython's own messages; together with the names in the code they say what went wrong without any value.
ENGLISH = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of to in for from with not no is are was must be can cannot could should has have had and or but than as at
        by on object objects attribute argument arguments positional keyword required missing unexpected got expected takes
        given between instance instances type types supported unsupported operand operands index out range list tuple string
        bytes integer number float dictionary key keys value values changed size during iteration iterable iterator callable
        subscriptable hashable unhashable unpack too many enough local global variable referenced before assignment name
        defined module import division zero maximum recursion depth exceeded while calling comparison empty sequence item
        pop set closed file operation codec decode encode byte position invalid start ordinal character characters read
        write memory thread new only concatenate convert multiple long short negative already running event loop
        """,
    )
)
_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")
_WORD = re.compile(r"\w+|[^\w\s]|\s+")
_PUNCTUATION = frozenset(" ()[]{}.,:;'\"=<>+-*/!?")


@dataclass(frozen=True)
class Defect:
    """One exception that nobody expected, told without a value: its causes first."""

    where: str  # the logger that met it
    chain: tuple[tuple[str, str, tuple[str, ...]], ...]  # (type, words of its message, frames)


class Trail:
    """What a report would hold, kept as the program runs. One for the process: defects may be met anywhere."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget all."""
        self.command = ""
        self.options: Sequence[str] = ()  # by their names
        self.defects: list[Defect] = []
        self._mesh: Mesh | None = None
        self._kinds: dict[str, str] = {}
        self._statuses: dict[str, tuple[str | None, str | None, str]] = {}  # step → cluster, peer, status
        self._events: deque[str] = deque(maxlen=MOST_EVENTS)

    def of(self, mesh: Mesh, plan: Plan | None = None) -> None:
        """This mesh is worked on, by these steps."""
        self._mesh = mesh
        self._kinds |= {step.id: type(step).__name__ for step in (plan.steps if plan else ())}

    def watch(self, mesh: Mesh, plan: Plan, listener: Callable[[Event], None]) -> Callable[[Event], None]:
        """The listener, with the kinds of its events kept."""
        self.of(mesh, plan)

        def heard(event: Event) -> None:
            self._hear(event)
            listener(event)

        return heard

    @property
    def worked(self) -> bool:
        """Whether a run began."""
        return bool(self._events)

    def met(self, error: BaseException, where: str) -> None:
        """Keep a defect, condensed: neither the exception nor its frames are held on to. Never raises."""
        with contextlib.suppress(Exception):
            if len(self.defects) < MOST_DEFECTS:
                self.defects.append(Defect(where, tuple(_chain(error))))

    def _hear(self, event: Event) -> None:
        kind = type(event).__name__
        if isinstance(event, StepChanged):
            self._statuses[event.step] = (event.cluster, event.peer, str(event.status))
            kind += f" {event.status}"
        elif isinstance(event, RunEnded):
            kind += f" {event.exit_code}"
        self._events.append(kind)

    # -- the text

    def text(self, code: int) -> str:
        """The report of a program that ends with this exit code."""
        parts = [
            ("", ["meshwizard crash report: kinds, counts and positions in the code; no names, addresses or values."]),
            ("versions", _versions()),
            ("terminal", _terminal()),
            ("command", [" ".join((self.command or "(none)", *self.options)), f"exit code {code}"]),
            *((f"defect in {defect.where}", list(_told(defect))) for defect in self.defects),
            ("mesh", self._shape()),
            ("steps", self._steps()),
            ("last events", list(self._events)),
        ]
        return "\n".join(
            "\n".join([*([f"[{title}]"] if title else []), *(lines or ["none"]), ""]) for title, lines in parts
        )

    def _shape(self) -> list[str]:
        mesh = self._mesh
        if mesh is None:
            return []
        from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS
        from wizard.mesh.files import overlay_files

        choices = {field.key: [choice.value for choice in field.choices] for field in MESH_FIELDS + CLUSTER_FIELDS}
        choices["role"] = ["primary", "remote"]

        def known(key: str, value: str) -> str:
            return value if value in choices[key] else "other"

        roles = Counter(known("role", cluster.role) for cluster in mesh.clusters)
        exposures = Counter(known("gateway.exposure", cluster.gateway.exposure) for cluster in mesh.clusters)
        version = mesh.istio.version or ""
        return [
            f"topology {known('topology', mesh.topology)}, clusters {len(mesh.clusters)}, "
            f"networks {len({cluster.network for cluster in mesh.clusters})}",
            *(f"role {role}: {count}" for role, count in sorted(roles.items())),
            *(f"exposure {exposure}: {count}" for exposure, count in sorted(exposures.items())),
            f"istio {version if _VERSION.fullmatch(version) else 'other'}, "
            f"revision {'given' if mesh.istio.revision else 'none'}, overlays {len(list(overlay_files(mesh)))}",
            f"certificates {known('certificates.source', mesh.certificates.source)}",
        ]

    def _steps(self) -> list[str]:
        numbers = {c.name: f"cluster{n}" for n, c in enumerate(self._mesh.clusters if self._mesh else (), 1)}
        lines = []
        for id, (cluster, peer, status) in self._statuses.items():
            # Of its clusters' names only their numbers are told.
            parts = (numbers.get(cluster or ""), self._kinds.get(id, "Step"), numbers.get(peer or ""))
            lines.append("/".join(filter(None, parts)) + f": {status}")
        return lines


TRAIL = Trail()


class Keeper(logging.Handler):
    """Keeps every exception that is logged as an error: that is what every part of the program does with a defect."""

    def __init__(self, trail: Trail) -> None:
        super().__init__(logging.ERROR)
        self._trail = trail

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it. Never raises."""
        if record.exc_info and record.exc_info[1] is not None:
            self._trail.met(record.exc_info[1], record.name)


@contextlib.contextmanager
def keeping() -> Iterator[Trail]:
    """Within this block defects are kept in the trail that it gives, which begins anew."""
    TRAIL.begin()
    keeper = Keeper(TRAIL)
    for name in OURS:
        logging.getLogger(name).addHandler(keeper)
    try:
        yield TRAIL
    finally:
        for name in OURS:
            logging.getLogger(name).removeHandler(keeper)


def write(path: Path, text: str) -> str:
    """Write a new file that only this user can read. Gives why it could not be, empty where it was. An existing file, also
    a link, is left as it is. Never raises.
    """
    from state import whole

    try:
        done = whole.write(path, text.encode("utf-8", "replace"))
    except Exception as error:
        return _why(error)
    return "" if done else os.strerror(errno.EEXIST)


def proposed() -> Path:
    """Where a report goes when the person is asked: into the folder that they are in."""
    return Path(time.strftime("meshwizard-report-%Y%m%d-%H%M%S.txt"))


def _why(error: Exception) -> str:
    return one_line(getattr(error, "strerror", None) or type(error).__name__)


# -- exceptions without values


def _chain(error: BaseException) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain and len(chain) < 10:
        chain.append(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    for each in reversed(chain):
        frames = list(_frames(each.__traceback__))
        codes = [code for _, code in frames]
        lines = [line for line, _ in frames]
        if len(lines) > MOST_FRAMES:
            lines[MOST_FRAMES // 2 : -MOST_FRAMES // 2] = ["…"]
        yield _kind(each), _words(each, codes), tuple(lines)


def _kind(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, CodeType]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        file = _file(code.co_filename)
        yield (f"{file}:{trace.tb_lineno}:{code.co_qualname}" if file else "(elsewhere)"), code
        trace = trace.tb_next


def _file(name: str) -> str:
    """The file's place within our source, a library or Python; empty for any other, whose path and names tell of a person."""
    path = Path(name)
    ours = Path(__file__).parents[2]
    libraries = [Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")]
    if path.is_relative_to(ours) and path.relative_to(ours).parts[0] in OURS:
        return path.relative_to(ours).as_posix()
    for place in libraries:
        if path.is_relative_to(place):
            return path.relative_to(place).as_posix()
    standard = Path(sysconfig.get_path("stdlib"))
    if name.startswith("<frozen "):
        return name
    return f"python/{path.relative_to(standard).as_posix()}" if path.is_relative_to(standard) else ""


def _words(error: BaseException, codes: Sequence[CodeType]) -> str:
    """The message, where every word that does not stand in the source is an ellipsis: it may be a value."""
    if isinstance(error, OSError):
        return errno.errorcode.get(error.errno or 0, "")  # the rest of it are file names
    known = set(ENGLISH) | set(keyword.kwlist) | set(dir(builtins))
    for code in codes:
        if _file(code.co_filename):
            known |= {part for text in _texts(code) for part in re.findall(r"\w+", text)}
    words = [
        part if part.isspace() or part in _PUNCTUATION or (part in known and not part.isdigit()) else "…"
        for part in _WORD.findall(redact(str(error)[:2000]))
    ]
    return one_line(re.sub(r"…(?:\W*…)+", "…", "".join(words)), 400)


def _texts(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars)
    yield from (each for each in code.co_consts if isinstance(each, str))


def _told(defect: Defect) -> Iterator[str]:
    for kind, words, frames in defect.chain:
        yield from frames
        yield f"{kind}: {words}" if words else kind


# -- where it ran


def _versions() -> list[str]:
    return [
        f"meshwizard {__version__}",
        f"{platform.python_implementation()} {platform.python_version()}",
        f"{platform.system()} {one_line(platform.release(), 60)} {platform.machine()}",
        *(f"{name} {_version(name)}" for name in _LIBRARIES),
    ]


def _version(name: str) -> str:
    try:
        return one_line(metadata.version(name), 30)
    except metadata.PackageNotFoundError:
        return "absent"


def _terminal() -> list[str]:
    def is_terminal(stream: object) -> str:
        try:
            return "a terminal" if stream.isatty() else "no terminal"  # type: ignore[attr-defined]
        except (AttributeError, ValueError, OSError):
            return "closed"

    streams = ("stdin", "stdout", "stderr")
    lines = [", ".join(f"{name} {is_terminal(getattr(sys, name))}" for name in streams)]
    with contextlib.suppress(OSError):
        size = os.get_terminal_size(2)
        lines.append(f"{size.columns}×{size.lines}")
    return lines
