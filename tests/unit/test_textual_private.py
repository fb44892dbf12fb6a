"""What is private to Textual is used in one file of the program, and in one of the tests. ruff (SLF) sees it on other objects;
here it is looked for where a class of ours builds on one of Textual's, and in imports.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PLACE = "screens/textual_private.py"
FILES = sorted(
    str(file.relative_to(ROOT)) for room in ("screens", "wizard", "tests") for file in (ROOT / room).rglob("*.py")
)


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def names_in(tree: ast.AST) -> Iterator[str]:
    """Private names of the methods in this code, and of what is asked of `self`, `cls` and `super()`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr):
            if ast.unparse(node.value) in ("self", "cls", "super()"):
                yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and private(node.name):
            yield node.name


@cache
def names_of(cls: type) -> frozenset[str]:
    """The private names that a class has, or gives to its instances."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return frozenset(names_in(tree)) | {name for name in vars(cls) if private(name)}


def taken(cls: type) -> set[str]:
    """The private names of Textual's that this class of ours uses or takes the place of."""
    theirs = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] == "textual"]
    ours = set(names_in(ast.parse(textwrap.dedent(inspect.getsource(cls)))))
    return ours & set[str]().union(*map(names_of, theirs))


def classes(module: ModuleType) -> Iterator[type]:
    for each in vars(module).values():
        if inspect.isclass(each) and each.__module__ == module.__name__:
            yield each


def test_no_class_uses_or_overrides_what_is_private_to_textual() -> None:
    found = {}
    for file in FILES:
        if file.startswith("screens/") and file != PLACE:
            module = import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
            found |= {f"{file}: {cls.__name__}": names for cls in classes(module) if (names := taken(cls))}
    assert found == {}


def test_it_is_noticed() -> None:
    from screens.textual_private import OpenApp

    assert taken(OpenApp) >= {"_handle_exception", "_loop", "_return_code", "_close_messages_no_wait"}


def test_nobody_imports_what_is_private_to_textual() -> None:
    found = []
    for file in FILES:
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "textual":
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [
                    part for alias in node.names if alias.name.startswith("textual.") for part in alias.name.split(".")
                ]
            else:
                continue
            found += [f"{file}: {name}" for name in names if private(name)]
    assert found == []
