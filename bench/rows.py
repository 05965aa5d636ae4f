"""What is compared with what: a row is one ratio. The ids are those of the project's performance goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.contenders import Contender, hand_loop, ours, ours_counting, ours_slow_store, rsyslog
from bench.doors import DoorContender, bare_door, our_door, rsyslog_door


@dataclass(frozen=True, slots=True)
class Row:
    """ours ÷ other. other may raise Missing. goal: the CPU ratio to reach, None for a row that checks the bench.
    speed_goal: the ratio of events/s to reach. whole: into a real Elasticsearch, whose CPU and Kafka's count, too.
    """

    id: str
    what: str
    ours: Callable[[], Contender | DoorContender]
    other: Callable[[], Contender | DoorContender]
    goal: float | None
    speed_goal: float | None = None
    whole: bool = False


ROWS = (
    Row(
        "AA",
        "the hand-written loop ÷ itself: what noise alone does",
        lambda: hand_loop("envelopes"),
        lambda: hand_loop("envelopes"),
        None,
    ),
    Row(
        "P1",
        "Kafka → process → logs-enriched → index → Elasticsearch: CPU of the whole system ÷ the hand-written loop's",
        lambda: ours("envelopes"),
        lambda: hand_loop("envelopes"),
        1.20,
        speed_goal=1.2,
        whole=True,
    ),
    Row(
        "P2",
        "own CPU (process + index) on envelopes, stand-in store ÷ rsyslog on one-event records",
        lambda: ours("envelopes"),
        rsyslog,
        0.55,
    ),
    Row(
        "P3",
        "own CPU (process + index) on envelopes, stand-in store ÷ the hand-written loop",
        lambda: ours("envelopes"),
        lambda: hand_loop("envelopes"),
        1.5,
    ),
    Row(
        "P4",
        "counting (in process, the fold, the count role) ÷ not counting",
        lambda: ours_counting(counting=True),
        lambda: ours_counting(counting=False),
        1.05,
    ),
    Row(
        "P5",
        "own CPU on a foreign topic of one event a record, stand-in store ÷ the hand-written loop",
        lambda: ours("records"),
        lambda: hand_loop("records"),
        1.8,
    ),
    Row(
        "S1",
        "two workers ÷ one, a stand-in store that answers after 200 ms",
        lambda: ours_slow_store(2, latency_ms=200),
        lambda: ours_slow_store(1, latency_ms=200),
        1.1,
        speed_goal=1.8,
    ),
    Row(
        "R2",
        "0.1 % of the events broken ÷ none (no good event lost: verified; events/s ≥ 0.95)",
        lambda: ours("envelopes", one_broken_in=1000),
        lambda: ours("envelopes"),
        1.05,
        speed_goal=0.95,
    ),
    Row(
        "C1",
        "HTTP, one event a POST, acknowledged after Kafka ÷ a bare handler that only sends the body to Kafka",
        lambda: our_door("one"),
        lambda: bare_door("one"),
        1.3,
    ),
    Row(
        "C2",
        "HTTP, 500 events of NDJSON a POST, checked ÷ the same bare handler",
        lambda: our_door("many"),
        lambda: bare_door("many"),
        1.5,
    ),
    Row(
        "C3",
        "syslog UDP to Kafka at 15,000 a second, nothing lost ÷ rsyslog (imudp, omkafka)",
        lambda: our_door("udp"),
        rsyslog_door,
        1.2,
    ),
)
DEFAULT_ROWS = ("P2", "P3", "P5", "R2")
ALONE = ("M1", "R1", "R3", "O1")  # no ratios: bench/alone.py, bench/rates.py, bench/metrics_cost.py


def row(name: str) -> Row:
    """The row of this id, in any case. Raises KeyError with the ids there are."""
    for candidate in ROWS:
        if candidate.id == name.upper():
            return candidate
    raise KeyError(f"no row {name!r}: one of {', '.join(candidate.id for candidate in ROWS)}")
