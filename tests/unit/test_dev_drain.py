"""The moment at which `logsync dev` may stop a broker that forgets."""

from __future__ import annotations

from logsync_streams.dev.drain import Accepted, Settled, behind, drained, left

ACCEPTED = Accepted(10, {"logs": {"0": 4, "1": 2}})


def settled(raw0: int, raw1: int, indexed: int, *, produced: int = 6, ended: int = 0) -> Settled:
    return Settled(
        raw={"logs": {"0": raw0, "1": raw1}},
        produced={"logs-enriched": {"0": produced}},
        indexed={"logs-enriched": {"0": indexed}},
        received=10,
        ended=ended,
    )


def test_nothing_accepted_is_drained_at_once():
    assert drained(Accepted(), Settled())


def test_every_partition_must_be_passed():
    assert drained(ACCEPTED, settled(5, 3, 7))
    assert not drained(ACCEPTED, settled(5, 2, 7))
    assert not drained(ACCEPTED, settled(4, 3, 7))


def test_what_was_produced_must_be_indexed():
    assert not drained(ACCEPTED, settled(5, 3, 6))


def test_a_worker_that_knows_no_position_yet_is_behind():
    assert not drained(ACCEPTED, Settled())


def test_behind_counts_the_records_that_are_not_passed():
    assert behind({"logs": {"0": 4, "1": 2}}, {"logs": {"0": 3}}) == 5


def test_what_is_left_are_the_events_that_did_not_end():
    assert left(ACCEPTED, settled(4, 3, 7, ended=8)) == 2


def test_at_least_one_is_left_until_drained():
    # After a worker's restart its counts say nothing; the positions do.
    assert left(ACCEPTED, settled(4, 3, 7, ended=50)) == 1


def test_nothing_is_left_once_drained():
    assert left(ACCEPTED, settled(5, 3, 7, ended=3)) == 0


def test_a_restarted_collector_adds_to_what_its_predecessor_accepted():
    joined = ACCEPTED.joined(Accepted(3, {"logs": {"0": 3, "2": 8}}))

    assert joined == Accepted(13, {"logs": {"0": 4, "1": 2, "2": 8}})


def test_both_statuses_are_read_as_the_parts_give_them():
    accepted = Accepted.from_status({"accepted_events": 3, "acknowledged": {"logs": {"0": 1}}, "waiting_events": 0})
    of_worker = Settled.from_status(
        {
            "process": {
                "positions": {"logs": {"0": 2}},
                "received_events": 3,
                "filtered_events": 1,
                "dead_events": 0,
                "foreign_events": 0,
            },
            "produced": {"logs-enriched": {"3": 0}},
            "index": {"positions": {"logs-enriched": {"3": 1}}, "settled_events": 2},
        }
    )

    assert drained(accepted, of_worker)
    assert of_worker.ended == 3
