"""As much of a shell as is needed: commands joined by `&&` and `|`, their output written to files by `>`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from wizard.clusters.port import Executed

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_TOKEN = re.compile(rf"&&|\||>|(?:{_QUOTED.pattern}|[^\s'\"|&>])+")
Run = Callable[[list[str], str], Executed]  # a command and what it reads → what came of it


def run(script: str, stdin: str, files: dict[str, str], command: Run) -> Executed:
    """What the script prints. What it writes is put into `files`."""
    tokens = [_QUOTED.sub(lambda part: part[0][1:-1], token) for token in _TOKEN.findall(script)]
    out, err = "", ""
    for pipeline in _split(tokens, "&&"):
        given, code = stdin, 0
        for words in _split(pipeline, "|"):
            argv, target = (words[:-2], words[-1]) if words[-2:-1] == [">"] else (words, "")
            done = command(argv, given)
            err += done.stderr
            given, code = done.stdout, done.code
            if target:
                files[target], given = given, ""
        out += given
        if code != 0:
            return Executed(out, err, code)
    return Executed(out, err, 0)


def _split(tokens: list[str], at: str) -> Iterator[list[str]]:
    part: list[str] = []
    for token in tokens:
        if token == at:
            yield part
            part = []
        else:
            part.append(token)
    yield part
