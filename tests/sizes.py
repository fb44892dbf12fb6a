"""How large modules, classes and functions are: prints the largest, and fails where one is over its limit and not excepted.

What grows over its limit holds two concerns, most of the time: split it by these, and squeeze no lines. Where it does not, it is
an exception with its reason, and leaves the list when it is small enough again.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("wizard", "screens", "state")
MODULE, CLASS, FUNCTION = "module", "class", "function"
LIMITS = {MODULE: 400, CLASS: 20, FUNCTION: 60}
UNITS = {MODULE: "lines", CLASS: "methods", FUNCTION: "lines"}
SHOWN = 5  # of each kind
# What stands over its limit, and why. "Must go": it is to be split, and only waits for that.
EXCEPTIONS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Size:
    """`name`: a module's path in the repository, and in it, behind a colon, what it is of."""

    kind: str
    name: str
    size: int

    @property
    def is_over(self) -> bool:
        """Whether it is larger than its kind may be."""
        return self.size > LIMITS[self.kind]

    def __str__(self) -> str:
        return f"{self.size:>4} {UNITS[self.kind]:<8}{self.name}"


def sizes_in(source: str, path: str) -> Iterator[Size]:
    """The sizes of a module and of all that is defined in it. Screens and apps are not counted by their methods: Textual asks for
    most of these, one for each key and message.
    """
    yield Size(MODULE, path, len(source.splitlines()))
    yield from _below(ast.parse(source), f"{path}:")


def _below(node: ast.AST, prefix: str) -> Iterator[Size]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name, body=body):
                if not _is_screen(child):
                    methods = sum(isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) for each in body)
                    yield Size(CLASS, prefix + name, methods)
                yield from _below(child, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield Size(FUNCTION, prefix + name, (child.end_lineno or 0) - child.lineno + 1)
                yield from _below(child, f"{prefix}{name}.")
            case _:
                yield from _below(child, prefix)


def _is_screen(node: ast.ClassDef) -> bool:
    bases = (ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases)
    return any(base.endswith(("Screen", "App")) for base in bases)


def sizes() -> list[Size]:
    """Of everything that is shipped."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [size for path in paths for size in sizes_in(path.read_text(), str(path.relative_to(ROOT)))]


def complaints(found: Sequence[Size], exceptions: Mapping[str, str]) -> list[str]:
    """What is over its limit without an exception, and exceptions that nothing needs."""
    over = {each.name: each for each in found if each.is_over}
    return [
        *(f"{each} is over {LIMITS[each.kind]}" for name, each in over.items() if name not in exceptions),
        *(f"{name} is an exception, and not over its limit" for name in exceptions if name not in over),
    ]


def main() -> int:
    """Print the largest of each kind with the exceptions; 1 where something is wrong."""
    found = sizes()
    for kind, limit in LIMITS.items():
        print(f"The largest {kind if kind != CLASS else 'classe'}s, of at most {limit} {UNITS[kind]}:")
        for each in sorted((each for each in found if each.kind == kind), key=lambda each: -each.size)[:SHOWN]:
            why = EXCEPTIONS.get(each.name)
            print(f"  {each}" + (f"  (exception: {why})" if why else ""))
    wrong = complaints(found, EXCEPTIONS)
    for said in wrong:
        print(said, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
