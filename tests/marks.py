"""What the tests say that they prove, read from their marks, as tables in the documents.

A test names what it proves with `@pytest.mark.NAME(key, …)`, a whole module with `pytestmark = pytest.mark.NAME(key)`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Table:
    """A table of `document` between the comments `<!-- mark -->` and `<!-- /mark -->`; `mark` is also the name of the mark."""

    document: Path
    mark: str
    keys: tuple[Hashable, ...]

    def proofs(self) -> dict[Hashable, list[str]]:
        """Key → tests that prove it, as `path::name`, sorted. ValueError where a test names a key that there is not."""
        found: dict[Hashable, list[str]] = {key: [] for key in self.keys}
        for path in sorted(ROOT.glob("tests/**/*.py")):
            name = path.relative_to(ROOT).as_posix()
            for owner, mark, key in _marks_of(path):
                if mark == self.mark:
                    if key not in found:
                        raise ValueError(f"{name}: there is no {mark} {key}")
                    found[key].append(f"{name}::{owner}" if owner else name)
        return {key: sorted(set(tests)) for key, tests in found.items()}

    def render(self, head: Iterable[str], texts: Mapping[Hashable, Iterable[str]]) -> str:
        """The table: a row a key, with its texts and the tests that prove it."""
        rows = [
            [str(key), *texts[key], "<br>".join(f"`{test}`" for test in tests)] for key, tests in self.proofs().items()
        ]
        columns = ["", *head, "Proven by"]
        lines = [columns, ["-"] * len(columns), *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def written(self) -> str:
        """The table as the document holds it."""
        table = self._place().search(self.document.read_text())
        return table[0] if table else ""

    def write(self, table: str) -> None:
        """Put it into the document."""
        self.document.write_text(self._place().sub(lambda _: table, self.document.read_text()))

    def _place(self) -> re.Pattern[str]:
        return re.compile(rf"(?<=<!-- {self.mark} -->\n).*?(?=<!-- /{self.mark} -->)", re.S)


@lru_cache(maxsize=1000)
def _marks_of(path: Path) -> list[tuple[str, str, Hashable]]:
    """(function or class, mark, key) of each mark of a file; the first is empty where the whole module has it."""
    tree = ast.parse(path.read_text())
    found = [("", *each) for each in _module_marks(tree)]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found += [(node.name, *each) for each in _marks(node.decorator_list)]
    return found


def _module_marks(tree: ast.Module) -> Iterator[tuple[str, Hashable]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets):
            yield from _marks(node.value.elts if isinstance(node.value, ast.List) else [node.value])


def _marks(decorators: list[ast.expr]) -> Iterator[tuple[str, Hashable]]:
    for each in decorators:
        name = ast.unparse(each.func) if isinstance(each, ast.Call) else ""
        if isinstance(each, ast.Call) and name.startswith("pytest.mark."):
            for argument in each.args:
                if isinstance(argument, ast.Constant):
                    yield name.removeprefix("pytest.mark."), argument.value
