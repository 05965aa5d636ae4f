from __future__ import annotations

import asyncio

from agents.window import Window


async def filled(window: Window) -> list[object]:
    """Permits until no more is given at once."""
    permits: list[object] = []
    while True:
        try:
            permits.append(await asyncio.wait_for(window.enter(), 0.01))
        except TimeoutError:
            return permits


async def test_no_more_requests_are_under_way_than_the_window_is_wide():
    assert 3 == len(await filled(Window(3)))


async def test_the_next_one_goes_as_soon_as_one_has_ended():
    window = Window(1)
    permit = await window.enter()
    following = asyncio.create_task(window.enter())
    await asyncio.sleep(0)
    window.leave(permit, overloaded=False)

    assert await asyncio.wait_for(following, 5)


async def test_overload_halves_the_window_and_success_widens_it_again_by_one_a_round():
    told: list[int] = []
    window = Window(4, told.append)
    window.leave(await window.enter(), overloaded=True)
    for _ in range(40):
        window.leave(await window.enter(), overloaded=False)

    assert [4, 2, 3, 4] == told


async def test_requests_sent_before_the_window_shrank_do_not_shrink_it_again():
    window = Window(8)
    permits = [await window.enter() for _ in range(8)]
    for permit in permits:
        window.leave(permit, overloaded=True)

    assert 4 == window.limit


async def test_one_request_is_always_allowed():
    window = Window(2)
    for _ in range(10):
        window.leave(await window.enter(), overloaded=True)

    assert 1 == window.limit


async def test_who_gives_up_waiting_takes_nobodys_turn():
    window = Window(1)
    permit = await window.enter()
    first, second = asyncio.create_task(window.enter()), asyncio.create_task(window.enter())
    await asyncio.sleep(0)
    window.leave(permit, overloaded=False)
    first.cancel()  # it had been given the turn, and did not come to take it

    assert await asyncio.wait_for(second, 5)
