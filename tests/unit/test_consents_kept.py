"""What was agreed to: what of it is remembered and believed, and what a person is asked."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from wizard.clusters import consents
from wizard.clusters.consents import FILE, Consents, Unconsented
from wizard.clusters.plugin import Plugin


def plugin(mark: str = "m", words: str = "aws get-token", path: str = "/bin/aws") -> Plugin:
    return Plugin(Path("/k/config"), words, path, mark)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state"


def remembered(place: Path) -> Consents:
    """As another run finds them."""
    return Consents(lambda: place)


def test_another_run_knows_what_was_agreed_to(place: Path) -> None:
    remembered(place).agree([plugin("a")])
    remembered(place).agree([plugin("b")])
    assert [remembered(place).may_run(plugin(mark)) for mark in "abc"] == [True, True, False]
    assert [path.name for path in place.iterdir()] == [FILE], "no earlier generation is left beside it"
    lines = [line.strip(" ,") for line in (place / FILE).read_text().splitlines()]
    assert '"path": "/bin/aws"' in lines, "a person can read it"


def test_who_looks_makes_no_folder(place: Path) -> None:
    assert not remembered(place).may_run(plugin())
    assert not place.exists()


def test_what_is_known_already_is_not_written_again(place: Path) -> None:
    remembered(place).agree([plugin("a")])
    before = (place / FILE).stat()
    remembered(place).agree([plugin("a")])
    assert (place / FILE).stat().st_ino == before.st_ino


def test_when_it_was_agreed_to_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for when, marks in (("then", "a"), ("now", "ab")):
        monkeypatch.setattr(consents, "now", lambda when=when: when)
        remembered(place).agree(map(plugin, marks))
    told = json.loads((place / FILE).read_text())
    assert {mark: about["agreed"] for mark, about in told.items()} == {"a": "then", "b": "now"}


def test_the_oldest_is_forgotten_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consents, "MOST", 2)
    for mark in "abc":
        remembered(place).agree([plugin(mark)])
    assert [remembered(place).may_run(plugin(mark)) for mark in "abc"] == [False, True, True]


@pytest.mark.parametrize("change", ['["m"]', '{"m": "yes"}', '{"m": {}', f"{' ' * (1 << 20)}OLD"])
def test_a_file_that_is_not_as_we_write_it_is_not_believed(place: Path, change: str) -> None:
    remembered(place).agree([plugin("m")])
    assert remembered(place).may_run(plugin("m"))
    (place / FILE).write_text(change.replace("OLD", (place / FILE).read_text()))
    assert not remembered(place).may_run(plugin("m"))


def test_where_nothing_can_be_remembered_it_holds_for_this_run(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    place.mkdir()
    place.chmod(0o777)
    now = remembered(place)
    now.agree([plugin()])
    assert now.may_run(plugin())
    assert not remembered(place).may_run(plugin())
    for verb in ("read", "remembered"):
        assert f"what was agreed to cannot be {verb}: {place} can be written by everybody" in caplog.text


def test_a_path_that_was_agreed_to_may_be_run_whatever_it_is_told() -> None:
    agreed = Consents(given=["/bin/aws"])
    agreed.give([Path("/bin/gcloud")])
    paths = ("/bin/aws", "/bin/gcloud", "/bin/sh", "")
    assert [agreed.may_run(plugin(path=path)) for path in paths] == [True, True, False, False]
    assert [agreed.given(path) for path in paths] == [True, True, False, False]


def test_only_what_may_not_run_is_asked_and_what_is_alike_at_once() -> None:
    agreed = Consents()
    agreed.agree([plugin("mine")])
    agreed.refuse_others({"a": plugin("mine")})
    plugins = {
        "a": plugin("1"),
        "b": plugin("mine"),
        "c": plugin("2"),
        "d": plugin("3", path="/opt/aws"),
        "e": plugin("4", words="aws other"),
        "f": plugin("5", words="gone", path=""),
    }
    with pytest.raises(Unconsented) as told:
        agreed.refuse_others(plugins)
    assert told.value.what == (
        "a and c: /k/config runs `aws get-token` (/bin/aws) for credentials, 3 more run others, "
        "and nobody agreed to that; nothing was run"
    )
    assert "agree with --consent /bin/aws --consent /opt/aws; in a terminal" in told.value.remedy
    assert len(told.value.asked.splitlines()) == 4
    told.value.agree()
    agreed.refuse_others(plugins)


def test_what_leads_nowhere_can_be_agreed_to_by_nobody_but_a_person() -> None:
    with pytest.raises(Unconsented) as told:
        Consents().refuse_others({"a": plugin(path="")})
    assert told.value.what.startswith(
        "a: /k/config runs `aws get-token` (which is not there) for credentials, and nobody"
    )
    assert "--consent" not in told.value.remedy
