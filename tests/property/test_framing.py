"""The same frames whatever pieces a stream comes in, and whatever the stream is."""

import itertools
import json

import msgpack
import orjson
from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.collector.fluentd import frame_fluentd
from logsync_streams.collector.forward_messages import Unreadable, read
from logsync_streams.collector.framing import frame
from logsync_streams.collector.json_pieces import NoArray, elements, split
from logsync_streams.collector.multiline import Joiner, syslog_head
from logsync_streams.collector.packed import MessageFramer
from logsync_streams.collector.records import BadRecord, as_event, as_text
from logsync_streams.collector.syslog_framing import SyslogFramer
from logsync_streams.errors import RejectInput

MAX_BYTES = 64
pieces = st.sampled_from(
    [
        b"12 ",
        b"<13>",
        b"5 <1>ab",
        b"\n",
        b"\0",
        b"hello",
        b"9999999 <",
        b"12345678 <",
        b"70 <13>",
        b"x" * 70,
        b" ",
        b"1",
    ]
)
streams = st.lists(pieces | st.binary(max_size=12), max_size=14).map(b"".join)
messages = st.binary(min_size=1, max_size=MAX_BYTES - 4).map(lambda rest: b"<13>" + rest)


def frames_of(chunks):
    framer = SyslogFramer(MAX_BYTES)
    found = []
    for chunk in chunks:
        found += framer.feed(chunk)
        assert framer.held_bytes <= MAX_BYTES + 16
    return found + framer.end(), framer.truncated


@given(stream=streams, cuts=st.lists(st.integers(0, 200), max_size=6))
def test_frames_do_not_depend_on_the_chunks(stream, cuts):
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    whole = SyslogFramer(MAX_BYTES)
    expected = whole.feed(stream) + whole.end()

    assert (expected, whole.truncated) == frames_of(chunks)
    assert (expected, whole.truncated) == frames_of([stream[i : i + 1] for i in range(len(stream))])


@given(st.lists(messages))
def test_counted_messages_come_back_as_they_were(sent):
    assert (sent, 0) == frames_of([b"".join(b"%d %b" % (len(data), data) for data in sent)])


@given(
    st.lists(messages.map(lambda data: data.replace(b"\n", b" ").replace(b"\0", b" "))), st.sampled_from([b"\n", b"\0"])
)
def test_lines_come_back_as_they_were(sent, end):
    assert (sent, 0) == frames_of([b"".join(data + end for data in sent)])


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.binary(max_size=20) | st.sampled_from([b"\tat x", b"Traceback (most recent call last):"]),
        )
    )
)
def test_joining_keeps_every_byte_and_each_senders_order(lines):
    emitted: list[tuple[str, bytes]] = []
    joiner: Joiner[str] = Joiner(lambda key, data: emitted.append((key, data)), wait_seconds=1, max_bytes=50)
    for number, (key, line) in enumerate(lines):
        joiner.push(key, line, 0, float(number) / 2)
        joiner.expire(float(number) / 2)
    joiner.flush()

    for key in "abc":
        sent = [line.rstrip(b"\r\n\0") for k, line in lines if k == key]
        assert (
            b"\n".join(sent).replace(b"\0", b"").split()
            == b"\n".join(data for k, data in emitted if k == key).replace(b"\0", b"").split()
        )


@given(st.binary(max_size=300))
def test_a_syslog_head_is_found_or_not_in_any_bytes(data):
    for given_head in (b"", b"<13>", b"<13>1 - h a 1 - [", b"<13>May  1 12:00:00 "):
        whose, start = syslog_head(given_head + data)

        assert 0 <= start <= len(given_head + data)
        assert (start == 0) == (whose == b"")


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.booleans(), max_size=4), min_size=1),
    st.sampled_from(["", "\n", " \r\n"]),
)
def test_objects_one_after_the_other_come_back_as_they_were(objects, between):
    sent = [orjson.dumps(one) for one in objects]
    body = between.encode().join(sent)

    framed = frame(body, "application/json", max_event_bytes=10_000, max_events=1000)
    assert sent == [event.strip() for event in framed.events]
    assert sent == [piece for _, piece in split(body, 1000)]


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            "",
            "application/json",
            "application/x-ndjson",
            "text/plain",
            "application/msgpack",
            "application/x-www-form-urlencoded",
        ]
    ),
)
def test_any_body_is_framed_or_refused(body, content_type):
    for door in (
        lambda: frame(body, content_type, max_event_bytes=100, max_events=10),
        lambda: frame_fluentd(body, content_type, b"tag", max_event_bytes=100, max_events=10, join=None),
    ):
        try:
            events = door().events
        except RejectInput:
            continue

        assert all(len(event) <= 100 for event in events)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=3),
)


@given(values, values, values)
def test_any_forward_message_is_read_or_refused_and_no_entry_of_it_is_left_out(first, second, third):
    for message, entries in (
        ([first, second, third], None),
        ([b"tag", second, third], None),
        ([b"tag", [[1, first], [2, {b"a": second}], third]], 3),
    ):
        try:
            found = read(msgpack.packb(message), max_bytes=1000, max_records=10, max_record_bytes=100)
            records = list(found.records) if found is not None else []
        except BadRecord:
            continue
        if found is None:
            continue
        assert entries in (None, len(records))
        for time_ns, record, _ in records:
            if isinstance(record, Unreadable):
                event, cut = as_text(found.tag, time_ns, record.value, record.packed, 10_000)
                assert (False, str) == (cut, type(orjson.loads(event)[2]))
                continue
            _, time, written = orjson.loads(as_event(found.tag, time_ns, record, 10_000))
            assert (time_ns, len(record)) == (time, len(written)) or len(written) < len(record)


@given(st.lists(values, max_size=5), st.lists(st.integers(1, 20)))
def test_messages_of_a_connection_do_not_depend_on_the_chunks(sent, cuts):
    stream = b"".join(map(msgpack.packb, sent))
    framer = MessageFramer(10_000)
    found = []
    start = 0
    for cut in [*cuts, len(stream) + 1]:
        found += framer.feed(stream[start : start + cut])
        start += cut

    assert (list(map(msgpack.packb, sent)), 0) == (found, framer.held_bytes)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(st.lists(json_values, max_size=6), st.integers(0, 12), st.booleans())
def test_the_elements_of_an_array_are_found_however_deep_they_are(sent, deeper, indented):
    for _ in range(deeper):
        sent = [*sent, {"]": sent, '\\"{': [1]}]
    body = json.dumps(sent, indent=1 if indented else None).encode()
    found = [json.loads(element) for _, element in elements(body)]

    assert sent == found


@given(st.binary(max_size=60))
def test_what_is_no_array_is_never_taken_for_one(rest):
    body = b"[" + rest
    try:
        found = [json.loads(element) for _, element in elements(body)]
    except (NoArray, ValueError):
        return

    assert json.loads(body) == found
