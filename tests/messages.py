"""`make messages`: the list of all that people read, for translators, in gettext's form.

python -m tests.messages            writes wizard/messages/meshwizard.pot
python -m tests.messages --check    writes nothing

Both exit with 1 where a code cannot be read from the source, or asks for other values than it gets. The file is not kept in git:
it follows from the source.
"""

from __future__ import annotations

import argparse
import ast
import io
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from wizard.console.help import codes

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "wizard/messages/meshwizard.pot"
HEADER = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""  # no dates: the same for the same messages
PACKAGES = ("state", "wizard", "screens")
_ONE = frozenset({"msg", "tr"})
_COUNTED = frozenset({"counted", "trn"})
_COMMANDS = frozenset({"command", "group"})


class Found(NamedTuple):
    """A code and where it stands. `many`: its plural, or empty; `wrong`: why it is of no use, or empty."""

    file: str
    line: int
    code: str
    many: str = ""
    wrong: str = ""


def extracted() -> list[Found]:
    """Every message of the program, in the order of files and lines."""
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [found for path in files for found in _in_file(path)]


def _in_file(path: Path) -> Iterator[Found]:
    name = path.relative_to(ROOT).as_posix()
    if name in ("state/message.py", "wizard/messages/catalogue.py"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from _called(name, node, node.func.id)
        elif isinstance(node, ast.FunctionDef) and any(map(_is_command, node.decorator_list)):
            yield from (Found(name, node.lineno, code) for code in codes(ast.get_docstring(node) or ""))


def _called(file: str, call: ast.Call, name: str) -> Iterator[Found]:
    if name not in _ONE | _COUNTED:
        return
    texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    wanted = 2 if name in _COUNTED else 1
    if len(call.args) < wanted or len(texts) < wanted:
        yield Found(file, call.lineno, "", wrong="its code is not written out")
        return
    code, many = texts[0], texts[1] if wanted == 2 else ""
    given = {each.arg for each in call.keywords} | ({"count"} if wanted == 2 else set())
    asked = _names(code) | _names(many)
    wrong = "" if asked == given or None in given else f"it names {sorted(asked)}, and gets {sorted(map(str, given))}"
    yield Found(file, call.lineno, code, many, "" if wanted == 2 and asked <= given else wrong)


def _names(code: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(code) if name is not None}


def _is_command(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr in _COMMANDS


def template(found: list[Found]) -> str:
    """The list as a .pot file, the same for the same messages wherever they move within a file."""
    catalog = Catalog(project="meshwizard", fuzzy=False)
    for each in sorted(found, key=lambda each: (each.code.lower(), each.code, each.file)):
        if each.code and any(map(str.isalpha, each.code)):
            catalog.add((each.code, each.many) if each.many else each.code, locations=[(each.file, 0)])
    written = io.BytesIO()
    write_po(written, catalog, width=0, include_lineno=False, omit_header=True)
    return HEADER + written.getvalue().decode()


def main() -> int:
    """Write the list, or only read the source for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.messages", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    found = extracted()
    for each in found:
        if each.wrong:
            print(f"{each.file}:{each.line}: {each.wrong}")
    if not check:
        told = template(found)
        TEMPLATE.write_text(told)
        print(f"{told.count('msgid ') - 1} messages in {TEMPLATE.relative_to(ROOT)}")
    return int(any(each.wrong for each in found))


if __name__ == "__main__":
    sys.exit(main())
