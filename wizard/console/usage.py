"""click's own sentences about a command line, as messages. It hands them over as finished texts, so they are known by their form;
one that is not stays English.
"""

from __future__ import annotations

import re
import string

from wizard.messages import Message, msg

# Where two fit, the one that says more comes first.
_FORMS = (
    msg("No such command {name}. Did you mean {other}?", name="", other=""),
    msg("No such command {name}. (Did you mean one of: {others}?)", name="", others=""),
    msg("No such command {name}.", name=""),
    msg("No such option {name}. Did you mean {other}?", name="", other=""),
    msg("No such option {name}. (Did you mean one of: {others}?)", name="", others=""),
    msg("No such option {name}.", name=""),
    msg("Missing command."),
    msg("Missing argument {name}.", name=""),
    msg("Missing option {name}.", name=""),
    msg("Got unexpected extra argument ({words})", words=""),
    msg("Got unexpected extra arguments ({words})", words=""),
    msg("Option {name} requires an argument.", name=""),
    msg("Option {name} does not take a value.", name=""),
    msg("Invalid value for {name}: {problem}", name="", problem=""),
    msg("{value} is not one of {choices}.", value="", choices=""),
    msg("{value} is not in the range {range}.", value="", range=""),
    msg("{value} is not a valid integer.", value=""),
    msg("{value} is not a valid integer range.", value=""),
    msg("{value} is not {choice}.", value="", choice=""),
    msg("Path {name} is not readable.", name=""),
)


def as_message(sentence: str) -> str:
    """The same as a message, where it is one of click's; its text stays the same."""
    if isinstance(sentence, Message):
        return sentence
    for form in _FORMS:
        found = re.fullmatch(_pattern(form.code), sentence, re.S)
        if found:
            values = found.groupdict()
            if "problem" in values:
                values["problem"] = as_message(values["problem"])
            return Message(form.code, values)
    return sentence


def _pattern(code: str) -> str:
    return "".join(
        re.escape(text) + (f"(?P<{name}>.*?)" if name else "") for text, name, *_ in string.Formatter().parse(code)
    )
