import orjson
import pytest

from logsync_streams.errors import DeadLetter
from logsync_streams.parsing.fluentd import parse

AT_NS = 1_714_566_900_123_456_789


def parsed(tag, time_ns, record):
    return parse(orjson.dumps([tag, time_ns, record]), 0)


def test_tag_time_and_record_have_their_places():
    fields = parsed("app.web", AT_NS, {"log": "hello\n", "stream": "stderr"})

    assert {
        "@timestamp": 1_714_566_900_123,
        "message": "hello",
        "service": {"name": "app.web"},
        "labels": {"stream": "stderr", "fluentd.tag": "app.web"},
    } == fields


def test_what_the_record_says_wins_over_tag_and_time():
    fields = parsed("t", AT_NS, {"message": "m", "service": "s", "time": "2024-05-01T00:00:00Z"})

    assert (1_714_521_600_000, {"name": "s"}) == (fields["@timestamp"], fields["service"])


@pytest.mark.parametrize("date", [1_714_566_900.5, "2024-05-01T12:35:00.500000Z"])
def test_fluent_bits_date_is_the_time(date):
    assert {"@timestamp": 1_714_566_900_500, "message": "m"} == parsed(None, None, {"date": date, "log": "m"})


def test_a_tag_in_the_record_counts_where_the_request_gives_none():
    assert {"name": "inner"} == parsed(None, None, {"tag": "inner", "log": "m"})["service"]
    assert "inner" == parsed("outer", None, {"tag": "inner", "log": "m"})["labels"]["tag"]


@pytest.mark.parametrize("time_ns", [0, 5_000_000_000, -1_000_000_000])
def test_times_near_1970_are_no_other_unit(time_ns):
    assert time_ns // 1_000_000 == parsed("t", time_ns, {})["@timestamp"]


@pytest.mark.parametrize("data", [b"{}", b"[1,2]", b'["t",1,[]]', b"x", b""])
def test_what_is_no_such_event_is_undecodable(data):
    with pytest.raises(DeadLetter) as refused:
        parse(data, 0)

    assert "undecodable" == refused.value.category
