"""F4, F5: workers that come, go, stand by, and freeze under load; all partitions move, nothing is lost or doubled."""

from __future__ import annotations

import signal
import time

from tests.faults.scale import scaled
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.kafka_truth import in_flight, reset
from tests.pipeline.oracle import ForeignLoad, Oracle, eventually
from tests.pipeline.processes import Child, Pipeline

FREEZE_SECONDS = scaled(20, 60)
STUCK_SECONDS = 60.0  # F4 asks for 20 on a quiet machine
GROUPS = ("process", "index")


def test_f4_one_two_three_two_one_workers_under_load(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("F4 1→2→3→2→1 workers", pipeline, oracle)
    spread, codes = [], []

    with scene, ForeignLoad(oracle, pipeline.bootstrap, events_per_second=300) as foreign:
        for _ in range(2):
            scene.add_worker()
            scene.acknowledge(3000)
            spread.append(partitions(scene))
        for leaving in scene.workers[:2]:
            codes.append(leaving.stop())
            scene.acknowledge(3000)
        left = in_flight(pipeline.bootstrap)
        eventually(
            lambda: all(in_flight(pipeline.bootstrap)[group] < left[group] + 2000 for group in left),
            STUCK_SECONDS,
            "the worker that is left goes on",
        )
    verdict = scene.settle(partitions_by_worker=spread, exit_codes=codes, one_event_records=foreign.acknowledged)

    assert_kept(verdict)
    assert [0, 0] == codes
    assert foreign.acknowledged > 0
    for with_workers, counted in zip((2, 3), spread, strict=True):
        assert with_workers == len(counted)
        assert all(number > 0 for worker in counted for number in worker), "a worker without a partition"


def test_f5_a_frozen_worker_that_wakes_up_does_no_harm(pipeline: Pipeline, oracle: Oracle):
    scene = Scene(f"F5 SIGSTOP for {FREEZE_SECONDS} s", pipeline, oracle)

    with scene:
        scene.add_worker()
        frozen, other = scene.workers
        scene.acknowledge(3000)
        frozen.send(signal.SIGSTOP)
        at_freeze = sum(in_flight(pipeline.bootstrap).values())
        time.sleep(FREEZE_SECONDS)
        taken_over = assigned(other)
        frozen.send(signal.SIGCONT)
        scene.acknowledge(3000)
        eventually(lambda: all(assigned(frozen)), 120, "the one that woke up takes part again")
    verdict = scene.settle(in_flight_at_freeze=at_freeze)

    assert_kept(verdict)
    assert at_freeze > 0, "nothing was in flight: it proves nothing"
    assert (4, 4) == taken_over, "the other worker did not take over all partitions"
    assert frozen.alive
    assert other.alive


def test_a_worker_more_than_partitions_is_ready_and_takes_over(pipeline: Pipeline, oracle: Oracle):
    reset(pipeline.bootstrap)
    pipeline.environment["LOGSYNC_KAFKA__PARTITIONS"] = "1"
    pipeline.create_topics()
    scene = Scene("F4 two workers, one partition", pipeline, oracle)

    with scene:
        scene.add_worker()  # returns when it is ready
        at_work, standing_by = sorted(scene.workers, key=assigned, reverse=True)
        shared = [assigned(at_work), assigned(standing_by)]
        scene.acknowledge(2000)
        left = sum(in_flight(pipeline.bootstrap).values())
        at_work.kill()
        eventually(lambda: assigned(standing_by) == (1, 1), STUCK_SECONDS, "the other takes over")
    verdict = scene.settle(partitions_by_worker=shared, in_flight_at_kill=left)

    assert_kept(verdict)
    # Of each group's one partition nobody says that the same worker has it.
    assert (1, 1) == tuple(map(sum, zip(*shared, strict=True)))
    assert left > 0, "nothing was in flight: it proves nothing"


def assigned(worker: Child) -> tuple[int, ...]:
    """How many partitions of its topic each group has in this worker."""
    status = worker.status()
    return tuple(status[group]["assigned_partitions"] for group in GROUPS)


def partitions(scene: Scene, workers: list[Child] | None = None) -> list[tuple[int, ...]]:
    """The same for every worker (those given, else all), once they have all their share."""
    workers = workers or scene.workers
    eventually(
        lambda: [4, 4] == [sum(numbers) for numbers in zip(*map(assigned, workers), strict=True)],
        STUCK_SECONDS,
        "all partitions are assigned, each to one worker",
    )
    return [assigned(worker) for worker in workers]
