"""Which bare words the readers of YAML take for something else than text: the specifications' own expressions, and Go's code."""

from __future__ import annotations

import re
from collections.abc import Iterator

_YAML_1_1 = {  # https://yaml.org/type/
    "bool": r"y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
    "int": r"[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+",
    "float": r"[-+]?([0-9][0-9_]*)?\.[0-9.]*([eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": r"<<",
    "null": r"~|null|Null|NULL|",
    "value": r"=",
    "timestamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"(([ \t]*)Z|[-+][0-9]{1,2}(:[0-9]{2})?)?",
}
_YAML_1_2 = {  # the core schema
    "null": r"null|Null|NULL|~|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
}
# go-yaml's resolve.go (2 and 3, which sigs.k8s.io/yaml holds copies of) drops underscores, and reads an integer with its base.
_GO_INT = re.compile(r"[-+]?(0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
_GO_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_GO_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")


def taken_for(bare: str) -> Iterator[str]:
    """What readers would take this bare word for, other than text."""
    for version, kinds in (("1.1", _YAML_1_1), ("1.2", _YAML_1_2)):
        for kind, expression in kinds.items():
            if re.fullmatch(expression, bare):
                yield f"{kind} of {version}"
    number = bare.replace("_", "") if bare[:1] in "0123456789+-." else bare
    if _GO_INT.fullmatch(number):
        yield "Go's int"
    if _GO_FLOAT.fullmatch(number):
        yield "Go's float"
    if _GO_DATE.fullmatch(bare):
        yield "Go's time"
