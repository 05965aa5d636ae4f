"""F26: the clock is set forward and back while logs come in: nothing waits for it, nothing is lost or doubled."""

from __future__ import annotations

import time
from pathlib import Path

from deploy.servers import ElasticsearchServer
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Pipeline
from tests.servers.wiping import request

HOUR_SECONDS = 3600
SEEN_SECONDS = 60.0


def test_f26_a_clock_set_forward_and_back_by_an_hour_loses_nothing_and_stops_nothing(
    pipeline: Pipeline, elasticsearch: ElasticsearchServer, tmp_path: Path, oracle: Oracle
):
    started = time.time()
    clock = tmp_path / "clock"
    clock.write_text("0")
    pipeline.environment |= {"PYTHONPATH": str(Path(__file__).parent / "clock"), "CLOCK_FILE": str(clock)}
    scene = Scene("F26 clock +1 h, -1 h, right again", pipeline, oracle)
    ahead = []

    with scene:
        scene.acknowledge(2000)
        for off in (HOUR_SECONDS, -HOUR_SECONDS, 0):
            clock.write_text(str(off))
            scene.acknowledge(2000)
            settled = scene.worker.status()["index"]["settled_events"]
            eventually(
                lambda settled=settled: scene.worker.status()["index"]["settled_events"] > settled + 1000,  # type: ignore[misc]  # default of a lambda
                SEEN_SECONDS,
                "the worker goes on",
            )
            ahead.append(scene.worker.metric("logsync_stalled_seconds"))
    verdict = scene.settle(stalled_seconds=ahead)

    assert received(elasticsearch, "gt", time.time() + HOUR_SECONDS / 2) > 0, "the clock was never ahead"
    assert received(elasticsearch, "lt", started - HOUR_SECONDS / 2) > 0, "the clock was never behind"
    assert_kept(verdict)
    assert verdict.dead == 0
    assert scene.worker.alive
    assert scene.collector.alive
    assert {} == dict(scene.load.refused), "the doors felt it"
    # What was received by the clock that was ahead has not taken less than no time.
    assert scene.worker.metric("logsync_end_to_end_latency_seconds_bucket", le="+Inf") > 0
    assert scene.worker.metric("logsync_end_to_end_latency_seconds_sum") >= 0


def received(elasticsearch: ElasticsearchServer, how: str, epoch_seconds: float) -> int:
    """How many logs are stored with a receive time beyond this one: `gt` or `lt`."""
    beyond = {"query": {"range": {"event.ingested": {how: int(epoch_seconds * 1000), "format": "epoch_millis"}}}}
    status, found = request("POST", f"{elasticsearch.url}/logsync-*/_count", beyond)
    assert status == 200, found
    return int(found["count"])
