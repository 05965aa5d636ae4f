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


async def test_what_is_forgotten_can_be_decided_anew_and_the_rest_stays(tmp_path):
    state = FileState(tmp_path / "s")
    for key in ("a", "b", "c"):
        await state.decide(key, b"1")
    await state.forget(["a", "c", "never there"])

    assert {"b": b"1"} == await state.read()
    assert b"2" == await state.decide("a", b"2")
    assert {"a": b"2", "b": b"1"} == await FileState(tmp_path / "s").read()


async def test_nothing_is_lost_when_one_forgets_while_others_decide(tmp_path):
    states = [FileState(tmp_path / "s") for _ in range(4)]
    await states[0].decide("old", b"1")

    async def decide(state, number):
        for i in range(10):
            await state.decide(f"{number}/{i}", b"1")
            await state.forget([f"{number}/{i - 5}"])

    await asyncio.gather(*(decide(state, number) for number, state in enumerate(states)))

    expected = {"old", *(f"{number}/{i}" for number in range(4) for i in range(5, 10))}

    assert expected == set(await states[0].read())
