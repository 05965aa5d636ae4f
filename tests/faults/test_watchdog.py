"""The watchdog on real Kafka: a consumer that gets nowhere ends its process; idleness and a dead store never do."""

from __future__ import annotations

import time

from deploy.servers import ElasticsearchServer
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Pipeline

TIMEOUT_SECONDS = 10
SETTING = {
    "LOGSYNC_KAFKA__STALL_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
    "LOGSYNC_STORE__REQUEST_TIMEOUT_SECONDS": "3",
}
ENDED_SECONDS = 120.0


def test_a_stalled_worker_ends_with_the_reason_and_its_successor_loses_nothing(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("watchdog, stalled agent", pipeline, oracle)
    scene.workers.append(pipeline.worker("tests.faults.stalled", **SETTING, STALL_AFTER="3", STALL_HOW="waits"))

    with scene:
        started = time.monotonic()
        code = scene.worker.wait(ENDED_SECONDS)
        took = time.monotonic() - started
        told = scene.worker.log.read_text(errors="replace")
        scene.add_worker()
    verdict = scene.settle(exit_code=code, seconds=round(took, 1))

    assert_kept(verdict)
    assert code != 0
    assert "logsync-index: something to do and no progress for" in told
    assert "messages in hand, the first is logs-enriched/" in told


def test_a_worker_whose_loop_is_blocked_ends_with_the_place_that_blocks_it(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("watchdog, blocked loop", pipeline, oracle)
    scene.workers.append(pipeline.worker("tests.faults.stalled", **SETTING, STALL_AFTER="3", STALL_HOW="blocks"))

    with scene:
        code = scene.worker.wait(ENDED_SECONDS)
        told = scene.worker.log.read_text(errors="replace")
        scene.add_worker()
    verdict = scene.settle(exit_code=code)

    assert_kept(verdict)
    assert code != 0
    assert "stalled.py" in told, "the traceback does not say where"


def test_neither_idleness_nor_a_dead_store_is_a_stall(
    pipeline: Pipeline, elasticsearch: ElasticsearchServer, oracle: Oracle
):
    scene = Scene("watchdog, idle and store down", pipeline, oracle)
    scene.workers.append(pipeline.worker(**SETTING))

    scene.workers[0].wait_until_ready()
    time.sleep(2 * TIMEOUT_SECONDS)  # nothing to do yet
    with scene:
        scene.acknowledge(2000)
        elasticsearch.kill()
        time.sleep(3 * TIMEOUT_SECONDS)
        alive = scene.worker.alive
        elasticsearch.start()
    verdict = scene.settle()

    assert_kept(verdict)
    assert alive, scene.worker.log_end()
    time.sleep(2 * TIMEOUT_SECONDS)  # nothing to do any more: the tables' changelogs are not work
    assert scene.worker.alive, scene.worker.log_end()
    eventually(lambda: scene.worker.metric("logsync_stalled_seconds") == 0, 60, "no stall is left")
