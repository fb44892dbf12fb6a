"""Events on their way to whoever watches: in order, and at nobody's cost but the reader's."""

from __future__ import annotations

import threading
import time

import pytest

from wizard.engine.delivery import ROOM, Delivery, Unheard
from wizard.engine.events import Event, Paused, StepSaid


def said(text: str) -> StepSaid:
    return StepSaid(step="a", cluster="c", text=text)


def test_all_arrive_in_order_before_the_block_ends() -> None:
    heard: list[Event] = []
    events = [said(str(number)) for number in range(500)]
    with Delivery(heard.append) as delivery:
        for event in events:
            delivery.put(event)
    assert heard == events


def test_what_comes_after_the_block_is_delivered_too() -> None:
    heard = threading.Event()
    with Delivery(lambda event: heard.set()) as delivery:
        pass
    delivery.put(said("late"))
    assert heard.wait(10)


@pytest.mark.promise(32)
def test_a_reader_that_stands_still_delays_nobody_and_is_not_flooded() -> None:
    going, heard = threading.Event(), list[Event]()

    def slow(event: Event) -> None:
        going.wait(20)
        heard.append(event)

    with Delivery(slow) as delivery:
        for number in range(3 * ROOM):
            delivery.put(said(str(number)))
        delivery.put(Paused(paused=True))  # what is no mere progress is kept
        going.set()
    assert ROOM <= len(heard) <= ROOM + 3
    assert isinstance(heard[-1], Paused)


@pytest.mark.promise(32)
def test_in_a_hurry_a_reader_that_stands_still_is_given_up() -> None:
    going, aborted = threading.Event(), threading.Event()
    with pytest.raises(Unheard), Delivery(lambda event: (going.wait(20), None)[1]) as delivery:
        delivery.hurry_when(aborted.is_set)
        delivery.put(said("one"))
        threading.Timer(0.1, aborted.set).start()
    going.set()


def test_in_a_hurry_a_reader_that_reads_is_waited_for() -> None:
    heard: list[Event] = []

    def slow(event: Event) -> None:
        time.sleep(0.02)
        heard.append(event)

    with Delivery(slow) as delivery:
        delivery.hurry_when(lambda: True)
        for number in range(10):
            delivery.put(said(str(number)))
    assert len(heard) == 10


def test_what_a_reader_raises_is_no_trouble_for_the_next_event(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        heard.append(event)
        if len(heard) == 1:
            raise ValueError("no")

    with Delivery(broken) as delivery:
        delivery.put(said("one"))
        delivery.put(said("two"))
    assert len(heard) == 2
    assert "showing StepSaid" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_ends_its_thread_ends_no_run() -> None:
    left: list[threading.Thread] = []

    def leaving(event: Event) -> None:
        left.append(threading.current_thread())
        raise SystemExit

    with Delivery(leaving) as delivery:
        delivery.put(said("one"))
        delivery.put(said("two"))
    for thread in left:
        thread.join()  # what they raised is reported when they are gone
