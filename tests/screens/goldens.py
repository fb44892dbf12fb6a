"""Pictures of screens, held against those that were looked at and kept. `make goldens` keeps the present ones."""

from __future__ import annotations

import difflib
import html
import os
import re
import shutil
from pathlib import Path

from textual.app import App

KEPT = Path(__file__).with_name("golden")
DIFFERENT = Path(__file__).parents[2] / ".goldens"  # git ignores it
COMPARED = """<!doctype html><meta charset="utf-8"><title>{name}</title>
<style>body {{ display: flex; flex-wrap: wrap; font-family: sans-serif }} figure {{ margin: 1em }}</style>
<figure><figcaption>{name}, as kept</figcaption><img src="kept.svg"></figure>
<figure><figcaption>{name}, now</figcaption><img src="now.svg"></figure>
"""
CELL = 12.2  # units of the picture that a column is wide


def svg_of(app: App[int]) -> str:
    """What the app shows, without what would be fetched from elsewhere, and the same for the same screen."""
    svg = app.export_screenshot(title="meshwizard", simplify=True)
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.S)
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.S)
    return re.sub(r"terminal-\d+", "terminal", svg)


def text_of(svg: str) -> list[str]:
    """The lines of text in a picture."""
    lines: dict[int, str] = {}
    for x, line, text in re.findall(r'<text [^>]*\bx="([\d.]+)"[^>]*#terminal-line-(\d+)\)">(.*?)</text>', svg):
        before = lines.get(int(line), "").ljust(round(float(x) / CELL))
        lines[int(line)] = before + html.unescape(text).replace("\xa0", " ")
    return [lines.get(number, "").rstrip() for number in range(max(lines, default=-1) + 1)]


class Album:
    """The pictures of one walk through the screens."""

    def __init__(self) -> None:
        self._wrong: list[str] = []

    def take(self, name: str, app: App[int]) -> None:
        """Hold what the app shows against the picture of that name. `check` tells what differed."""
        now, file = svg_of(app), KEPT / f"{name}.svg"
        if os.environ.get("MESHWIZARD_GOLDEN") == "write":
            file.write_text(now, encoding="utf-8")
        kept = file.read_text(encoding="utf-8") if file.exists() else ""
        place = DIFFERENT / name
        shutil.rmtree(place, ignore_errors=True)
        if now == kept:
            return
        place.mkdir(parents=True)
        for what, content in (("kept.svg", kept), ("now.svg", now), ("both.html", COMPARED.format(name=name))):
            (place / what).write_text(content, encoding="utf-8")
        changes = list(difflib.unified_diff(text_of(kept), text_of(now), "kept", "now", lineterm="", n=0))
        said = "\n".join(changes) or "the text is the same: colours or styles differ"
        self._wrong.append(f"{name}: look at {place / 'both.html'}\n{said}")

    def check(self) -> None:
        """Fails where a picture differs, and says where both are."""
        told = "\n\n".join(self._wrong)
        assert not told, f"{told}\n\nWhere this is as it should be, `make goldens` keeps it."
