"""The pages of the checks of a standing mesh, docs/checks: written from the checks. `python -m tests.checkpages` writes
them; `--check` says which are not as they would be written, and ends with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wizard.checks.standing.check import LAYERS, Check
from wizard.checks.standing.diagnosis import checks

FOLDER = Path(__file__).parent.parent / "docs" / "checks"
_SEVERITIES = {
    "error": "error: traffic does not pass, or will not once something restarts",
    "warning": "warning: nothing is broken yet",
    "unsure": "unsure: it may be so, and is never called a cause",
}


def page(check: Check) -> str:
    """The page of one check."""
    return (
        f"# {check.id}\n\n{check.title}.\n\n"
        f"- **Layer:** {check.layer}\n"
        f"- **Worst that it finds:** {_SEVERITIES[check.severity]}\n\n"
        f"## What it reads\n\n{check.reads}\n\n"
        f"## What a finding means\n\n{check.means}\n\n"
        f"## How it comes about\n\n{check.arises}\n\n"
        f"## How to mend it\n\n{check.mend}\n"
    )


def index() -> str:
    """The list of all, layer by layer."""
    lines = [
        "# Checks of a mesh that stands",
        "",
        "What `meshwizard diagnose`, `meshwizard verify` and a verification that waits look at. They read and change nothing.",
        "Layers stand on each other: the first that is broken has the cause. These pages are written from the checks",
        "(`make pages`); those before an install are in [checks.md](../checks.md).",
    ]
    for layer in LAYERS:
        lines += ["", f"## {layer}", "", "| Check | Finds that not | Worst |", "|-|-|-|"]
        lines += [
            f"| [{one.id}]({one.id}.md) | {one.title} | {one.severity} |" for one in checks() if one.layer == layer
        ]
    return "\n".join(lines) + "\n"


def wanted() -> dict[str, str]:
    """File name → content."""
    return {"README.md": index(), **{f"{check.id}.md": page(check) for check in checks()}}


def differing() -> list[str]:
    """The pages that are not as they would be written, those that are there without a check among them."""
    pages = wanted()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in {*pages, *there} if pages.get(name) != there.get(name))


def main() -> int:
    """Write or compare them."""
    names = differing()
    if "--check" in sys.argv[1:]:
        for name in names:
            print(f"docs/checks/{name} is not as its check says; run `make pages`")
        return bool(names)
    pages = wanted()
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        if name in pages:
            (FOLDER / name).write_text(pages[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
