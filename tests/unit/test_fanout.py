from __future__ import annotations

import threading

import pytest

from wizard.fanout import of_each


def test_answers_stand_in_the_order_of_those_who_were_asked() -> None:
    first_may_end = threading.Event()

    def ask(item: str) -> str:
        if item == "slow":
            assert first_may_end.wait(10)
        else:
            first_may_end.set()
        return item.upper()

    assert of_each(["slow", "fast"], ask) == ["SLOW", "FAST"]


def test_of_nobody_nothing_is_asked() -> None:
    assert of_each([], lambda _: pytest.fail("asked")) == []


def test_no_more_than_that_many_at_a_time() -> None:
    lock, now, most = threading.Lock(), 0, 0
    both = threading.Barrier(2, timeout=10)

    def ask(_: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait()
        with lock:
            now -= 1

    of_each(range(6), ask, at_once=2)
    assert most == 2


def test_the_first_error_in_their_order_is_raised_when_what_had_begun_has_ended() -> None:
    ended: list[str] = []
    all_began = threading.Barrier(3, timeout=10)
    second_failed, first_fails = threading.Event(), threading.Event()

    def ask(item: str) -> None:
        all_began.wait()
        if item == "first":
            assert second_failed.wait(10)
            first_fails.set()
            raise ValueError(item)
        if item == "second":
            second_failed.set()
            raise KeyError(item)
        assert first_fails.wait(10)
        ended.append(item)

    with pytest.raises(ValueError, match="first"):
        of_each(["first", "second", "third"], ask, at_once=3)
    assert ended == ["third"]


def test_who_had_not_begun_is_not_asked_after_an_error() -> None:
    asked: list[int] = []

    def ask(item: int) -> None:
        asked.append(item)
        raise ValueError

    with pytest.raises(ValueError):
        of_each(range(100), ask, at_once=1)
    assert len(asked) < 100


def test_the_threads_say_what_they_are_for() -> None:
    (name,) = of_each([1], lambda _: threading.current_thread().name, name="lease")
    assert name.startswith("lease")
