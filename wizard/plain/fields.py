"""Asks a declared field: one renderer for every kind."""

from __future__ import annotations

from wizard.mesh.fields import Field, Value
from wizard.messages import joined, msg
from wizard.plain.asking import Asker, Option

CLEAR = "-"  # typed where a value is there and none is wanted


def ask(asker: Asker, field: Field, current: Value, *, title: str = "") -> Value:
    """The person's answer, as the mesh file holds it. None: left open, to be found or defaulted."""
    title = title or field.title
    known = field.default if current is None else current
    if field.kind == "choice":
        return _choice(asker, field, known, title)
    return _typed(asker, field, known, title)


def _choice(asker: Asker, field: Field, known: Value, title: str) -> Value:
    options = [Option(choice.title) for choice in field.choices]
    values: list[Value] = [choice.value for choice in field.choices]
    if field.default is None and not field.required:  # the help says what it is then
        options.insert(0, Option(msg("Default, or what is found") if field.found else msg("Default")))
        values.insert(0, None)
    default = values.index(known) if known in values else 0
    return values[asker.choose(title, options, default=default, hint=field.help)]


def _typed(asker: Asker, field: Field, known: Value, title: str) -> Value:
    optional = not field.required
    hint = field.help
    if optional and known not in (None, "", []):
        hint = joined((hint, msg("Type {answer} for none.", answer=CLEAR)), " ")

    def check(typed: str) -> str | None:
        return None if optional and typed == CLEAR else field.mistake(field.parse(typed))

    answer = asker.text(title, default=field.render(known), hint=hint, check=check)
    return None if optional and answer == CLEAR else field.parse(answer)
