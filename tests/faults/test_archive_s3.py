"""F21: S3 answers 500, 403, too late, slowly, by half or not at all, or the archiver is killed, at every request that
the archiving of a day makes: all logs are in the store or in the one archive after each, and the day ends archived.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.faults.archive_process import runs
from tests.faults.archive_run import one_run
from tests.faults.archive_scene import Scene, moto, scene
from tests.retention import stored_ids
from tests.s3_proxy import CUT, ERROR, LOST, OK, REFUSED, SILENT, SLOW, Asked, S3Proxy

__all__ = ["moto", "scene"]

# What a day's archiving asks of S3, before and after its manifest is there.
STEPS = {
    *((False, kind) for kind in ("list uploads", "get manifest", "begin upload", "upload", "complete upload")),
    *((False, kind) for kind in ("get part", "put manifest")),
    *((True, kind) for kind in ("list", "delete part", "list uploads", "get manifest", "get part")),
}
_MOST_RUNS = 60


@dataclass
class Once:
    """Spoils, in each run, the first request of which no run before had one spoiled: so they all come in turn.

    Two requests are the same when they are of one kind, as many of it went before in their run, and the manifest was
    there for both or for neither.
    """

    fault: str
    act: Callable[[], None] = lambda: None
    spoiled: set[tuple[bool, str, int]] = field(default_factory=set)
    committed: bool = False
    _in_run: Counter[str] = field(default_factory=Counter)
    _now: str = ""

    def begin_run(self) -> None:
        self._in_run.clear()
        self._now = ""

    @property
    def hit(self) -> str:
        """The kind of the request that was spoiled in this run, "" for none."""
        return self._now

    def __call__(self, asked: Asked) -> str:
        self._in_run[asked.kind] += 1
        label = (self.committed, asked.kind, self._in_run[asked.kind])
        fault = OK
        if not self._now and label not in self.spoiled:
            self.spoiled.add(label)
            self._now, fault = asked.kind, self.fault
            self.act()
        self.committed |= asked.kind == "put manifest" and fault in (OK, SLOW, LOST, CUT)
        return fault

    @property
    def steps(self) -> set[tuple[bool, str]]:
        return {(committed, kind) for committed, kind, _ in self.spoiled}


@pytest.mark.parametrize("fault", [ERROR, REFUSED, SILENT, LOST, CUT])
async def test_a_request_of_any_step_that_fails_costs_no_log_and_the_next_run_goes_on(fault, scene: Scene):
    once = Once(fault)
    with S3Proxy(scene.moto.url, once, seconds=2) as proxy:
        for number in range(_MOST_RUNS):
            if not await stored_ids(scene.store.admin):
                await scene.new_day()
                once.committed, folder = False, scene.folder / str(number)
            once.begin_run()
            receipt = await one_run(scene.store_url, proxy.url, folder, s3_timeout_seconds=1, s3_attempts=1)
            await scene.check(f"{fault} at {once.hit}: {receipt.problems}")
            if not await stored_ids(scene.store.admin):
                await scene.check_ended()
            if not once.hit:
                break

    assert [] == receipt.problems
    assert STEPS <= once.steps
    await scene.check_ended()
    await scene.check_swept()


async def test_an_answer_that_is_lost_at_any_step_is_asked_for_again_and_the_run_goes_on(scene: Scene):
    await scene.new_day()
    lost: Counter[str] = Counter()

    def first_of_each_kind(asked: Asked) -> str:
        lost[asked.kind] += 1
        return LOST if lost[asked.kind] == 1 else OK

    with S3Proxy(scene.moto.url, first_of_each_kind) as proxy:
        receipt = await one_run(scene.store_url, proxy.url, scene.folder, s3_attempts=3)

    assert [] == receipt.problems
    assert {kind for _, kind in STEPS} <= lost.keys()
    await scene.check_ended()
    await scene.check_swept()


async def test_an_s3_that_is_slow_at_every_step_is_waited_for(scene: Scene):
    await scene.new_day()
    with S3Proxy(scene.moto.url, lambda _: SLOW, seconds=0.1) as proxy:
        receipt = await one_run(scene.store_url, proxy.url, scene.folder, s3_attempts=1)

    assert [] == receipt.problems
    await scene.check_ended()
    await scene.check_swept()


@pytest.mark.parametrize("fault", [SILENT, LOST], ids=["before the request arrives", "after it was done"])
async def test_a_run_killed_in_a_request_of_any_step_costs_no_log_and_the_next_run_goes_on(fault, scene: Scene):
    with S3Proxy(scene.moto.url, seconds=0) as proxy, runs(scene.store_url, proxy.url) as process:
        once = Once(fault, act=lambda: os.kill(process.running[0], signal.SIGKILL))
        proxy.fault = once
        for number in range(_MOST_RUNS):
            if not await stored_ids(scene.store.admin):
                await scene.new_day()
                once.committed, folder = False, scene.folder / str(number)
            once.begin_run()
            code, problems = process.run(folder)
            await scene.check(f"killed at {once.hit}")
            if not once.hit:
                break

            assert -9 == code

        assert (0, []) == (code, problems)
    assert once.steps >= STEPS
    await scene.check_ended()
    await scene.check_swept()
