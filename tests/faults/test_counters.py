"""F18: what `/rates` says is exact, however the workers die, freeze and come back."""

from __future__ import annotations

import signal
import time
from functools import partial
from random import Random
from typing import Any

import httpx

from tests.faults.scale import scaled
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.kafka_truth import in_flight
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Child, Pipeline

FREEZE_SECONDS = 10.0  # past the session timeout of 6 s


def test_f18_error_rates_are_the_truth_after_kills_stops_and_freezes(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("F18 SIGKILL, SIGTERM, SIGSTOP", pipeline, oracle)
    random = Random(oracle.seed)
    at_kill = []

    with scene:
        scene.add_worker()
        for _ in range(scaled(2, 20)):
            time.sleep(random.uniform(1, 3))
            scene.workers[0].kill()
            at_kill.append(sum(in_flight(pipeline.bootstrap).values()))
            scene.workers[0] = pipeline.worker()
            scene.workers[0].wait_until_ready()
        frozen = scene.workers[1]
        frozen.send(signal.SIGSTOP)
        time.sleep(FREEZE_SECONDS)
        frozen.send(signal.SIGCONT)
        time.sleep(random.uniform(1, 3))
        assert frozen.stop() == 0
        scene.workers[1] = pipeline.worker()
        scene.workers[1].wait_until_ready()
    verdict = scene.settle(in_flight_at_kill=at_kill)
    fresh = scene.add_worker()  # one that has only read the topic

    assert_kept(verdict)
    assert all(records > 0 for records in at_kill), "nothing was in flight at a kill: it proves nothing"
    assert {} == dict(scene.load.refused), "the truth is known only when every event was acknowledged"
    truth = {service: (totals["events"], totals["errors"]) for service, totals in oracle.truth().items()}
    for worker in (*scene.workers[:2], fresh):
        eventually(partial(_is_counted, worker, truth), 60, f"/rates of {worker.url} is {truth}")
    print(f"F18: {len(truth)} services, {sum(events for events, _ in truth.values())} events, wrong 0")


def counted(worker: Child) -> dict[str, tuple[int, int]]:
    """(events, errors) of the last hour by service, as this worker tells it."""
    view: dict[str, Any] = httpx.get(f"{worker.url}/rates", timeout=10).json()
    if not view["complete"]:
        return {}
    hours = {row["service"]: row["windows"]["1h"] for row in view["services"]}
    return {service: (hour["events"], hour["errors"]) for service, hour in hours.items()}


def _is_counted(worker: Child, truth: dict[str, tuple[int, int]]) -> bool:
    return counted(worker) == truth
