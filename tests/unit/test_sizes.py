from __future__ import annotations

from tests.sizes import CLASS, FUNCTION, LIMITS, MODULE, Size, complaints, sizes_in

SOURCE = """
class Table:
    def one(self):
        pass

    @property
    def two(self):
        return 2


class NamesScreen(WizardScreen["int"]):
    def body(self):
        def inner():
            pass
"""


def test_modules_classes_and_functions_are_measured_and_screens_not_by_their_methods() -> None:
    found = {(each.kind, each.name): each.size for each in sizes_in(SOURCE, "x.py")}
    assert found == {
        (MODULE, "x.py"): 14,
        (CLASS, "x.py:Table"): 2,
        (FUNCTION, "x.py:Table.one"): 2,
        (FUNCTION, "x.py:Table.two"): 2,
        (FUNCTION, "x.py:NamesScreen.body"): 3,
        (FUNCTION, "x.py:NamesScreen.body.inner"): 2,
    }


def test_what_is_over_its_limit_is_told_unless_excepted_and_an_exception_must_be_needed() -> None:
    most, more = LIMITS[MODULE], LIMITS[MODULE] + 1
    found = [Size(MODULE, "fits.py", most), Size(MODULE, "large.py", more), Size(MODULE, "known.py", more)]
    assert complaints(found, {"known.py": "why"}) == [f" {more} lines   large.py is over {most}"]
    assert complaints(found[:1], {"fits.py": "why"}) == ["fits.py is an exception, and not over its limit"]
