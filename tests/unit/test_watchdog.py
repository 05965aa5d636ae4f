"""What counts as a stall, without a broker; that the process ends is in tests/faults/test_watchdog.py."""

from __future__ import annotations

from logsync_streams.watchdog import Sight, Stall

EVERY = 5.0


def stall_after(*sights: Sight, pause: float = EVERY) -> float:
    stall, seconds = Stall(EVERY), 0.0
    for number, sight in enumerate(sights):
        seconds = stall.look(number * pause, sight)
    return seconds


def test_something_to_do_and_no_progress_adds_up():
    assert 15 == stall_after(*[Sight(True, 7)] * 4)


def test_any_progress_begins_anew():
    assert 5 == stall_after(Sight(True, 7), Sight(True, 7), Sight(True, 8), Sight(True, 8))


def test_idleness_is_no_stall_however_long():
    assert 0 == stall_after(*[Sight(False, 7)] * 1000)


def test_a_broker_that_does_not_answer_is_no_stall():
    assert 0 == stall_after(*[Sight(True, 7)] * 3, Sight(None, 7))


def test_idleness_before_does_not_count_for_the_work_after():
    assert 5 == stall_after(*[Sight(False, 7)] * 100, Sight(True, 7))


def test_a_process_that_was_frozen_has_not_stalled_meanwhile():
    assert 2 * EVERY == stall_after(Sight(True, 7), Sight(True, 7), pause=3600)
