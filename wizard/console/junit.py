"""JUnit reports, for whoever collects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wizard.text import one_line, printable


@dataclass(frozen=True)
class Case:
    """One test case. `failed`, `untried`: in a line why it failed, or could not be tried; `told`: more about it."""

    classname: str
    name: str
    seconds: float | None = None
    failed: str = ""
    untried: str = ""
    told: str = ""


def report(name: str, cases: Sequence[Case]) -> str:
    """A test suite of that name as JUnit XML."""
    from xml.etree import ElementTree as ET

    suite = ET.Element("testsuite", name=name)
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", classname=_xml(one_line(case.classname)), name=_xml(one_line(case.name))
        )
        if case.seconds is not None:
            element.set("time", f"{case.seconds:.3f}")
        for kind, why in (("failure", case.failed), ("error", case.untried)):
            if why:
                ET.SubElement(element, kind, message=_xml(one_line(why, 600))).text = _xml(printable(case.told))
    counts = {"failures": sum(bool(case.failed) for case in cases), "errors": sum(bool(case.untried) for case in cases)}
    suite.attrib |= {"tests": str(len(cases)), **{key: str(count) for key, count in counts.items()}, "skipped": "0"}
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    # XML 1.0 has no place for these two either; the rest was replaced when the text became printable.
    return text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
