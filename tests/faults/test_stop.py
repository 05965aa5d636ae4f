"""F3: SIGTERM to each process under load, and to a worker in the middle of a batch."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.servers import KafkaServer
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.kafka_truth import reset
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Child, Pipeline
from tests.standin.store import Plan, StandinStore

STOP_SECONDS = 15.0  # reliability.md, F3
# Within F3's time; a machine with much else to do needs more of it than a batch should.
PATIENT = {"LOGSYNC_PROCESS__DRAIN_TIMEOUT_SECONDS": "10", "LOGSYNC_KAFKA__SESSION_TIMEOUT_SECONDS": "20"}
BULK_SECONDS = 0.7


@pytest.fixture
def store() -> Iterator[StandinStore]:
    with StandinStore() as standin:
        yield standin


@pytest.fixture
def slow(tmp_path: Path, kafka: KafkaServer, store: StandinStore, oracle: Oracle) -> Iterator[Scene]:
    """A store that takes BULK_SECONDS for each bulk, so that a signal always comes in the middle of one."""
    reset(kafka.bootstrap)
    pipeline = Pipeline(tmp_path, kafka.bootstrap, store.url, **PATIENT)
    pipeline.create_topics()
    store.plan = Plan(latency_seconds=BULK_SECONDS)
    yield Scene("F3 SIGTERM in mid-batch", pipeline, oracle, numbers=store.numbers)
    pipeline.close()


def test_a_worker_told_to_stop_in_mid_batch_ends_it_and_leaves_nothing_to_do_twice(slow: Scene, store: StandinStore):
    codes, seconds = [], []

    with slow:
        for _ in range(2):
            slow.acknowledge(2000)
            eventually(lambda: store.bulks_in_hand > 0, 60, "a bulk is on its way")
            code, took = stopped(slow.worker)
            codes.append(code)
            seconds.append(round(took, 1))
            assert store.bulks_in_hand == 0, "it left while its bulk was on its way"
            slow.add_worker()
        slow.acknowledge(2000)
    store.plan = Plan()
    verdict = slow.settle(exit_codes=codes, stop_seconds=seconds, conflicts=store.conflicts)

    assert_kept(verdict)
    assert [0, 0] == codes
    assert store.conflicts == 0, "what was written before the stop was written again after it"
    assert {1} == set(store.sent.values())


def test_each_process_told_to_stop_under_load_ends_with_0_and_loses_nothing(pipeline: Pipeline, oracle: Oracle):
    scene = Scene("F3 SIGTERM under load", pipeline, oracle)
    pipeline.environment |= PATIENT
    query = pipeline.query()

    with scene:
        query.wait_until_ready()
        scene.acknowledge(5000)
        code, took = stopped(scene.worker)
        worker = (code, round(took, 1))
        scene.add_worker()
        scene.acknowledge(2000)
        refusing = Readiness(scene.collector)
        code, took = stopped(scene.collector)
        collector = (code, round(took, 1))
        code, took = stopped(query)
        reader = (code, round(took, 1))
    verdict = scene.settle(worker=worker, collector=collector, query=reader, readyz=refusing.seen())

    assert_kept(verdict)
    assert [0, 0, 0] == [worker[0], collector[0], reader[0]]
    assert 200 not in refusing.seen(), "ready after it was told to stop"
    assert scene.worker.metric("logsync_duplicate_events_total") == 0


def stopped(child: Child) -> tuple[int, float]:
    """Exit code, and how long it took after SIGTERM."""
    asked = time.monotonic()
    code = child.stop(within_seconds=STOP_SECONDS)
    return code, time.monotonic() - asked


class Readiness:
    """Asks `/readyz` from shortly after the signal until the process has gone."""

    def __init__(self, child: Child) -> None:
        self._child, self._seen = child, list[int]()
        self._thread = threading.Thread(target=self._ask)
        child.send(signal.SIGTERM)
        self._thread.start()

    def seen(self) -> list[int]:
        """The different statuses that it answered."""
        self._thread.join()
        return sorted(set(self._seen))

    def _ask(self) -> None:
        time.sleep(1)  # F3: from the first second
        while self._child.alive:
            try:
                self._seen.append(httpx.get(f"{self._child.url}/readyz", timeout=2).status_code)
            except httpx.TransportError:
                return  # it listens no more
