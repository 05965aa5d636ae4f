from __future__ import annotations

import asyncio

from logsync_streams.state import FileState


async def test_the_first_decision_stands(tmp_path):
    state = FileState(tmp_path / "state.ndjson")

    assert b"1" == await state.decide("assignment/2026-11-24", b"1")
    assert b"1" == await state.decide("assignment/2026-11-24", b"2")


async def test_what_was_decided_is_there_after_a_restart(tmp_path):
    await FileState(tmp_path / "state.ndjson").decide("k", b"v")

    assert {"k": b"v"} == await FileState(tmp_path / "state.ndjson").read()


async def test_two_that_decide_at_once_agree(tmp_path):
    first, second = FileState(tmp_path / "s"), FileState(tmp_path / "s")
    answers = await asyncio.gather(first.decide("k", b"1"), second.decide("k", b"2"))

    assert answers[0] == answers[1]


async def test_a_line_torn_by_a_crash_hides_no_other(tmp_path):
    file = tmp_path / "s"
    await FileState(file).decide("a", b"1")
    with file.open("ab") as torn:
        torn.write(b'{"key":"b","val')
    await FileState(file).decide("c", b"3")

    assert {"a": b"1", "c": b"3"} == await FileState(file).read()
