"""How many cells of a terminal a text takes: a wide character takes two. Texts are measured in the person's language."""

from __future__ import annotations

from collections.abc import Iterable

from wizard.messages.catalogue import rendered


def cells(text: str) -> int:
    """As many as it takes."""
    from rich.cells import cell_len  # rich is slow to load, and many commands measure nothing

    return cell_len(rendered(text))


def widest(texts: Iterable[str]) -> int:
    """As many as the widest of them takes; 0 of none."""
    return max(map(cells, texts), default=0)


def padded(text: str, width: int) -> str:
    """The text with as many blanks after it as make it that wide."""
    return rendered(text) + " " * (width - cells(text))
