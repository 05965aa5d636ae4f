"""Bodies of Fluentd and Fluent Bit over HTTP: what is refused is named by its place."""

from __future__ import annotations

import msgpack
import pytest

from logsync_streams.collector.fluentd import frame_fluentd


@pytest.mark.parametrize("join", [None, {"max_bytes": 100_000, "start": None, "on_joined": lambda number: None}])
def test_a_refused_msgpack_record_is_named_by_its_number_in_the_whole_body(join):
    records = [{"log": f"{number} " + "x" * 1000} for number in range(1, 1501)]
    records[1200]["log"] = "y" * 200_000
    body = b"".join(msgpack.packb([1_714_566_900, record]) for record in records)

    framed = frame_fluentd(body, "application/msgpack", b"t", max_event_bytes=100_000, max_events=10_000, join=join)

    assert (1499, [1201]) == (len(framed.events), [one.line for one in framed.refused])
