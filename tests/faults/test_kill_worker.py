"""F1: the worker is killed with SIGKILL while it works, and every acknowledged log is stored exactly once."""

from __future__ import annotations

import time
from random import Random

from tests.faults.early_ack_hold import HOLD_SECONDS
from tests.faults.scale import scaled
from tests.pipeline.kafka_truth import in_flight
from tests.pipeline.oracle import ForeignLoad, Load, Oracle, Verdict, eventually
from tests.pipeline.processes import Pipeline

KILLS = scaled(3, 20)  # at instants from a seed
EVENTS_PER_SECOND = 2000
FOREIGN_EVENTS_PER_SECOND = 300  # one a Kafka record, which the consumer coalesces
RECOVERY_SECONDS = 400.0  # generous: the machine may be busy with other things


def run_with_kills(pipeline: Pipeline, oracle: Oracle, app: str = "logsync_streams") -> tuple[Verdict, list[int]]:
    """The verdict after KILLS kills under load, and how many records were in flight at each."""
    random = Random(oracle.seed)
    collector = pipeline.collector()
    worker = pipeline.worker(app)
    collector.wait_until_ready()
    worker.wait_until_ready()
    at_kill = []
    with (
        Load(oracle, collector.url, events_per_second=EVENTS_PER_SECOND) as load,
        ForeignLoad(oracle, pipeline.bootstrap, events_per_second=FOREIGN_EVENTS_PER_SECOND) as foreign,
    ):
        for _ in range(KILLS):
            time.sleep(random.uniform(1.5, 4.0))
            worker.kill()
            at_kill.append(sum(in_flight(pipeline.bootstrap).values()))
            worker = pipeline.worker(app)
            worker.wait_until_ready()
    started = time.monotonic()
    verdict = oracle.settled(pipeline.elasticsearch_url, pipeline.bootstrap, RECOVERY_SECONDS)
    print(
        f"F1 {app}: {KILLS} kills: {verdict} in_flight_at_kill {at_kill} "
        f"refused {dict(load.refused)} recovery {time.monotonic() - started:.1f} s "
        f"one_event_records {foreign.acknowledged}"
    )
    assert foreign.acknowledged > 0
    return verdict, at_kill


def test_a_worker_killed_under_load_loses_nothing_and_stores_nothing_twice(pipeline, oracle):
    verdict, at_kill = run_with_kills(pipeline, oracle)

    assert all(records > 0 for records in at_kill), "nothing was in flight at a kill: it proves nothing"
    assert (0, 0, 0) == (verdict.missing, verdict.twice, verdict.spurious)
    assert verdict.identity_holds


def test_the_same_kills_lose_logs_when_the_acknowledgement_comes_before_the_write(pipeline, oracle, monkeypatch):
    # early_ack holds what it has acknowledged before it writes; a slow store would do that, and it keeps the load low.
    monkeypatch.setattr("tests.faults.test_kill_worker.EVENTS_PER_SECOND", 300)
    monkeypatch.setattr("tests.faults.test_kill_worker.FOREIGN_EVENTS_PER_SECOND", 50)
    monkeypatch.setattr("tests.faults.test_kill_worker.RECOVERY_SECONDS", 1.0)
    pipeline.environment["LOGSYNC_KAFKA__COMMIT_INTERVAL_SECONDS"] = "0.1"
    run_with_kills(pipeline, oracle, "tests.faults.early_ack")
    # Only what is missing when nothing is left to do is lost.
    eventually(lambda: sum(in_flight(pipeline.bootstrap).values()) == 0, 120, "everything is committed")
    verdict = oracle.settled(pipeline.elasticsearch_url, pipeline.bootstrap, 5 * HOLD_SECONDS)
    print(f"F1 early_ack, with nothing in flight: {verdict}")

    assert verdict.missing > 0
