"""The gauges that upkeep sets, without a broker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from logsync_streams import metrics
from logsync_streams.upkeep import Inventory, Upkeep, Waiting, oldest
from tables.services import Seen

TP0, TP1 = TP("logs", 0), TP("logs", 1)


@pytest.mark.parametrize(
    ("hour_read", "joined", "stopping", "ready"),
    [(True, True, False, True), (False, True, False, False), (True, False, False, False), (True, True, True, False)],
    ids=["standing by without a partition", "last hour not read", "not in its group", "told to stop"],
)
def test_a_worker_in_all_its_groups_is_ready_with_or_without_partitions(hour_read, joined, stopping, ready):
    good: Any = SimpleNamespace(guarded=SimpleNamespace(joined=True), should_stop=False, assigned={TP0})
    one: Any = SimpleNamespace(guarded=SimpleNamespace(joined=joined), should_stop=stopping, assigned=set())
    fold: Any = SimpleNamespace(ready=hour_read)

    assert ready == Upkeep({"process": good, "index": one}, fold, None, lambda: 0).is_ready()


def test_the_age_is_that_of_the_oldest_message_of_a_partition():
    unacked: list[Any] = [
        SimpleNamespace(tp=tp, timestamp=time) for tp, time in ((TP0, 90.0), (TP0, 95.0), (TP1, None))
    ]

    assert {TP0: 10.0} == oldest(unacked, 100.0)


def test_a_clock_that_is_behind_kafkas_gives_no_negative_age():
    ahead: Any = SimpleNamespace(tp=TP0, timestamp=101.0)

    assert {TP0: 0.0} == oldest([ahead], 100.0)


def test_an_offset_that_nobody_fetches_grows_old():
    waiting = Waiting()
    waiting.look({TP0: 7, TP1: 3}, 100)

    assert {TP0: 60, TP1: 0} == waiting.look({TP0: 7, TP1: 4}, 160)


def test_what_was_settled_begins_anew():
    waiting = Waiting()
    waiting.look({TP0: 7}, 100)
    waiting.look({}, 110)

    assert {TP0: 0} == waiting.look({TP0: 7}, 160)


def test_a_silent_service_stays_in_the_inventory_and_too_many_are_left_out():
    table: dict[str, Seen] = {
        "silent-one": {"first_minute": 10, "last_minute": 20},
        "busy-one": {"first_minute": 10, "last_minute": 30},
        "one-too-many": {"first_minute": 10, "last_minute": 30},
    }
    Inventory(table, 2).measure()
    seen = {
        sample.labels["service"]: sample.value
        for family in metrics.service_last_seen.collect()
        for sample in family.samples
    }

    assert {"silent-one": 1200, "busy-one": 1800} == {name: seen[name] for name in ("silent-one", "busy-one")}
    assert "one-too-many" not in seen
