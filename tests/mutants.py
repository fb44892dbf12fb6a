"""Small faults put into the modules that hold credentials, ownership, redaction and quoting, one at a time: do tests notice?

`make mutants` prints each fault that no test noticed, and the score of each module, and fails where one is below WANTED;
`--write` renders the scores into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from subprocess import DEVNULL

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/reliability.md"
_SCORES = re.compile(r"(?<=<!-- mutants -->\n).*?(?=<!-- /mutants -->)", re.S)
WANTED = 0.9  # of the faults of each module
SECONDS = 120  # a fault that makes its tests hang counts as noticed

# module → the tests that are asked, the quickest to notice first
_QUOTING = {
    "wizard/text.py": (
        "tests/unit/test_text.py",
        "tests/unit/test_pasted.py::test_a_here_document_is_its_text",
        "tests/unit/test_pasted.py::test_a_quoted_word_is_that_word_on_one_line",
        "tests/unit/test_linear.py::test_no_more_than_what_may_be_shown_is_looked_at",
    ),
    "wizard/yamltext.py": ("tests/unit/test_yamltext.py",),
    "wizard/runbook.py": ("tests/unit/test_runbook.py",),
}
_REDACTION = {
    "state/guard.py": ("tests/state/test_guard.py", "tests/unit/test_withheld.py", "tests/state/test_secrets.py"),
    "state/withheld.py": (
        "tests/unit/test_withheld.py",
        "tests/unit/test_linear.py::test_words_too_short_to_be_a_value_cost_no_question",
    ),
    "wizard/credentials.py": ("tests/unit/test_credentials.py", "tests/unit/test_withheld.py"),
}
_OWNERSHIP = {
    "wizard/owners.py": ("tests/unit/test_owners.py",),
    "wizard/registered.py": ("tests/unit/test_registered.py",),
    "wizard/objects/before.py": ("tests/unit/test_whose.py",),
    "wizard/objects/foreign.py": ("tests/unit/test_foreign.py",),
    "wizard/objects/managers.py": ("tests/unit/test_managers.py",),
    "wizard/objects/ownership.py": ("tests/unit/test_ownership.py",),
    "wizard/objects/removal.py": ("tests/unit/test_removal.py",),
}
_CREDENTIALS = {
    "state/private.py": ("tests/state/test_private_folder.py", "tests/state/test_private.py"),
    "wizard/certificates/kept.py": ("tests/unit/test_kept_root.py",),
    "wizard/certificates/rootstore.py": ("tests/unit/test_certificates.py",),
    "wizard/clusters/consents.py": ("tests/unit/test_consents_kept.py",),
    "wizard/clusters/login.py": ("tests/unit/test_login.py",),
    "wizard/clusters/plugin.py": ("tests/unit/test_plugin.py",),
    "wizard/clusters/plugin_runs.py": ("tests/unit/test_plugin_runs.py",),
    "wizard/probes/credential.py": ("tests/unit/test_credential.py",),
    "wizard/steps/pullsecret.py": ("tests/unit/test_pullsecret.py",),
    "wizard/steps/remotesecret.py": ("tests/unit/test_remotesecret.py",),
}
MODULES = {**_QUOTING, **_REDACTION, **_OWNERSHIP, **_CREDENTIALS}

_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module with one fault: where, what stood there, what stands there now, and the whole text."""

    module: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.before} → {self.after}"


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Every fault that is put into a module, in the order of its lines."""
    tree = ast.parse(source)
    for node, field, index, new in _faults(tree):
        before = getattr(node, field)
        at = before if index is None else before[index]
        there = [] if new is None else [new]
        setattr(node, field, new if index is None else [*before[:index], *there, *before[index + 1 :]])
        text = ast.unparse(ast.fix_missing_locations(tree))
        setattr(node, field, before)
        line = getattr(at, "lineno", None) or getattr(node, "lineno", None) or 0
        yield Mutant(module, line, _short(at), "nothing" if new is None else _short(new), text)


def _faults(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, ast.AST | None]]:
    """(node, field, place in the field's list or None, what goes there or None for nothing)."""
    for node in _code(tree):
        if isinstance(node, ast.Compare):
            for place, operator in enumerate(node.ops):
                if type(operator) in _SWAPPED:
                    yield node, "ops", place, _SWAPPED[type(operator)]()
        elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in _SWAPPED and not _of_text(node):
            yield node, "op", None, _SWAPPED[type(node.op)]()
        elif isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert) and not _swaps(node.test):
            yield node, "test", None, ast.UnaryOp(ast.Not(), copy.deepcopy(node.test))
        elif isinstance(node, ast.Return) and node.value is not None and not _is(node.value, None):
            yield node, "value", None, ast.Constant(None)
        elif isinstance(node, ast.Call):
            for place in range(len(node.keywords)):
                yield node, "keywords", place, None
        elif isinstance(node, ast.comprehension):
            for place in range(len(node.ifs)):
                yield node, "ifs", place, None
        for field, value in ast.iter_fields(node):
            if other := _one_more(value):
                yield node, field, None, other
            for place, item in enumerate(value if isinstance(value, list) else []):
                if other := _one_more(item):
                    yield node, field, place, other
                elif isinstance(item, ast.Raise | ast.Expr | ast.Continue | ast.Break) and not _is_text(item):
                    yield node, field, place, ast.Pass()


def _code(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node that does something when it runs: no annotation, decorator or declaration of a type."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        yield node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "format_spec"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not (
                    isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
                ):
                    waiting.append(child)


def _swaps(test: ast.AST) -> bool:
    """Whether a comparison's own fault says the same as its negation."""
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and type(test.ops[0]) in _SWAPPED


def _one_more(node: object) -> ast.Constant | None:
    """The other truth, or one more than an index or a small count. One more than a large number is mostly the same bound."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool):
        return ast.Constant(not value)
    return ast.Constant(value + 1) if isinstance(value, int) and value <= 3 else None


def _of_text(node: ast.AST) -> bool:
    return any(
        isinstance(each, ast.Constant | ast.JoinedStr) and not _is_number(each) for each in ast.iter_child_nodes(node)
    )


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _short(node: object) -> str:
    text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt | ast.keyword) else type(node).__name__
    return text if len(text) <= 70 else f"{text[:69]}…"


def noticed(mutant: Mutant, checkout: Path) -> bool:
    """Whether its module's tests fail in this copy of the checkout, which is as before afterwards."""
    file = checkout / mutant.module
    before = file.read_text()
    _write(file, mutant.source)
    try:
        return not _passes(MODULES[mutant.module], checkout)
    finally:
        _write(file, before)


def _write(file: Path, source: str) -> None:
    """Write a module so that what was compiled of it before does not count: Python goes by size and whole seconds."""
    seconds = int(file.stat().st_mtime) + 1
    file.write_text(source)
    os.utime(file, (seconds, seconds))


def _passes(tests: Sequence[str], checkout: Path) -> bool:
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    child = subprocess.Popen(words, cwd=checkout, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True)
    try:
        return child.wait(SECONDS) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _copied(folder: Path) -> Path:
    """A copy of what is committed or about to be: where tests run in it, its modules come first."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _tried(wanted: Sequence[Mutant], jobs: int) -> list[bool]:
    with tempfile.TemporaryDirectory(prefix="meshwizard-mutants-") as place, ThreadPoolExecutor(jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copies.put(_copied(Path(place, str(number))))
        for module in sorted({mutant.module for mutant in wanted}):
            if not _passes(MODULES[module], Path(place, "0")):
                raise SystemExit(f"the tests of {module} fail without any fault")

        def tried(mutant: Mutant) -> bool:
            checkout = copies.get()
            try:
                seen = noticed(mutant, checkout)
            finally:
                copies.put(checkout)
            if not seen:
                print(f"not noticed: {mutant}", flush=True)
            return seen

        return list(pool.map(tried, wanted))


def main() -> int:
    """Try the faults of these modules; 1 where fewer than WANTED of one module's were noticed."""
    arguments = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments.add_argument("--write", action="store_true", help="render the scores into docs/reliability.md")
    arguments.add_argument("modules", nargs="*", default=list(MODULES), metavar="MODULE")
    chosen = arguments.parse_args()
    wanted = [mutant for module in chosen.modules for mutant in mutants(module, (ROOT / module).read_text())]
    results = list(zip(wanted, _tried(wanted, chosen.jobs), strict=True))
    by_module = {module: [seen for mutant, seen in results if mutant.module == module] for module in chosen.modules}
    rows = [
        f"| {name} | {len(seen)} | {sum(seen)} | {sum(seen) / max(1, len(seen)):.0%} |\n"
        for name, seen in [*by_module.items(), ("together", [seen for _, seen in results])]
    ]
    table = "".join(["| Module | Faults | Noticed | |\n|-|-|-|-|\n", *rows])
    print(table)
    if chosen.write:
        DOCUMENT.write_text(_SCORES.sub(lambda _: table, DOCUMENT.read_text()))
    return int(any(sum(seen) < WANTED * len(seen) for seen in by_module.values()))


if __name__ == "__main__":
    sys.exit(main())
