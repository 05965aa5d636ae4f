"""What travels between the parts is read back as it was written, and ids are the same at every reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsync_streams import counts, dead_letter, enriched, envelope
from logsync_streams.errors import DEAD_LETTER_CATEGORIES, DeadLetter
from logsync_streams.events import EVENT_ID_LENGTH, receive_day, uuid7_hex

hex_digits = st.text("0123456789abcdef", min_size=32, max_size=32)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._", min_size=1, max_size=30)
times = st.integers(0, 253_402_300_799_999)  # to the end of the year 9999
numbers = st.integers(0, 2**40)
headers = st.lists(st.tuples(texts, st.binary(max_size=20)), max_size=8)
_OURS = [
    "logsync-id",
    "logsync-received-at",
    "logsync-source",
    "logsync-format",
    "logsync-peer",
    "logsync-key",
    "logsync-first-index",
    "logsync-attempts",
]
# Kafka allows a header without a value.
header_values = st.none() | st.binary(max_size=40) | st.integers(-(2**40), 10**40).map(lambda n: str(n).encode())

envelopes = st.builds(
    envelope.Envelope,
    id=hex_digits,
    received_at=times,
    source=words,
    format=words,
    peer=texts,
    events=st.lists(st.binary(max_size=50), max_size=20).map(tuple),
    key=st.just("") | hex_digits,
    first_index=st.just(0),
) | st.builds(
    envelope.Envelope,
    id=hex_digits,
    received_at=times,
    source=words,
    format=words,
    peer=texts,
    events=st.lists(st.binary(max_size=50), max_size=20).map(tuple),
    key=hex_digits,
    first_index=st.integers(0, 99_000),
)


def record(value, headers, *, offset=7, timestamp=1_714_566_900_000):
    return envelope.RawRecord("logs", 3, offset, timestamp, value, headers)


@given(envelopes)
def test_an_envelope_is_read_back_as_it_was_written(written):
    value, record_headers = envelope.encode(written)

    assert written == envelope.read_envelope(value, dict(record_headers))


@given(envelopes, numbers)
def test_ids_are_the_envelopes_own_wherever_it_lies(written, offset):
    decoded = envelope.decode(record(*envelope.encode(written), offset=offset))

    assert written.event_ids() == decoded.ids
    assert len(decoded.ids) == len(set(decoded.ids))
    assert all(EVENT_ID_LENGTH == len(id) for id in decoded.ids)
    assert (written.received_at, bool(written.key)) == (decoded.received_at, decoded.origin.keyed)


@given(st.lists(st.binary(max_size=20), max_size=40), hex_digits, st.integers(1, 10))
def test_keyed_ids_do_not_depend_on_how_a_request_was_cut(events, key, size):
    def ids(pieces):
        made = (envelope.Envelope("0" * 32, 0, "http", "json", "", tuple(piece), key, at) for at, piece in pieces)
        return [id for one in made for id in one.event_ids()]

    assert ids([(0, events)]) == ids([(at, events[at : at + size]) for at in range(0, len(events), size)])


@given(times, times)
def test_envelope_ids_sort_by_time_and_are_uuids_of_version_7(first, second):
    one, other = uuid7_hex(first), uuid7_hex(second)

    assert ("7", 32) == (one[12], len(one))
    assert one[16] in "89ab"
    assert first == second or (first < second) == (one < other)


@given(st.binary(max_size=200), headers | headers.map(lambda found: [("logsync-envelope", b"1"), *found]))
def test_any_record_is_decoded_or_refused_by_name(value, record_headers):
    try:
        decoded = envelope.decode(record(value, record_headers))
    except DeadLetter:
        return  # its category is checked where it is made

    assert len(decoded.ids) == len(decoded.events)


@pytest.mark.parametrize(
    "damage", ["logsync-id", "logsync-received-at", "logsync-source", "logsync-format", "logsync-peer"]
)
def test_an_envelope_without_one_of_its_headers_is_undecodable(damage):
    value, record_headers = envelope.encode(envelope.Envelope("0" * 32, 0, "http", "json", "", (b"{}",)))

    with pytest.raises(DeadLetter, match="undecodable"):
        envelope.decode(record(value, [header for header in record_headers if header[0] != damage]))


@pytest.mark.parametrize("version", [True, False])
@given(
    st.sampled_from([b"\x90", b"\x91\xc4\x02{}", b"\x81\x80\xc0", b"{}", b"a line"]) | st.binary(max_size=20),
    st.dictionaries(st.sampled_from(_OURS), header_values),
)
def test_headers_that_somebody_else_made_up_stop_nothing(version, value, made_up):
    good = envelope.encode(envelope.Envelope("0" * 32, 0, "http", "json", "", (b"{}",), attempts=1))[1]
    headers_ = [header for header in (dict(good) | made_up).items() if version or header[0] != "logsync-envelope"]
    given_record = record(value, headers_)
    known = envelope.identity(given_record)
    receive_day(known.received_at)
    try:
        decoded = envelope.decode(given_record)
    except DeadLetter:
        return

    receive_day(decoded.received_at)
    assert all(len(id_) == EVENT_ID_LENGTH and id_[-5:].isdigit() for id_ in decoded.ids)


documents = st.dictionaries(words, st.integers(), max_size=3)


@given(
    st.builds(
        enriched.Enriched,
        target=st.just("") | words,
        topic=words,
        partition=st.integers(0, 999),
        first=numbers,
        last=numbers,
        keyed=st.booleans(),
        part=st.integers(0, 9),
        parts=st.integers(1, 10),
        counts=st.builds(enriched.Counts, numbers, numbers, numbers),
        documents=st.lists(st.just(b'{"a":1}') | st.just('{"ü":"\\n"}'.encode()), max_size=5).map(tuple),
    )
)
def test_a_record_of_documents_is_read_back_as_it_was_written(written):
    assert written == enriched.decode(*enriched.encode(written))


@given(
    st.builds(
        counts.ServiceCounts,
        service=texts,
        topic=words,
        partition=st.integers(0, 999),
        runs=st.lists(
            st.builds(
                counts.Run,
                numbers,
                numbers,
                st.dictionaries(texts, st.lists(numbers, min_size=2, max_size=2), max_size=4),
            ),
            max_size=5,
        ).map(tuple),
    )
)
def test_counts_are_read_back_as_they_were_written(written):
    key, value = counts.encode(written)

    assert written.service.encode() == key
    assert written == counts.decode(value)


@given(
    st.builds(
        dead_letter.DeadLetterRecord,
        event_id=words,
        value=st.binary(max_size=50),
        holds=st.sampled_from(["original", "document"]),
        received_at=times,
        format=words,
        source=words,
        peer=texts,
        target=st.just("") | words,
        stage=words,
        category=st.sampled_from(DEAD_LETTER_CATEGORIES),
        error=texts,
        topic=words,
        partition=st.integers(0, 999),
        offset=numbers,
        index=st.integers(0, 99_999),
        attempts=st.integers(1, 9),
        config_version=texts,
    )
)
def test_a_dead_letter_is_read_back_as_it_was_written(written):
    assert written == dead_letter.decode(*dead_letter.encode(written))


@given(st.binary(max_size=60), headers)
def test_what_we_did_not_write_is_refused_by_name(value, record_headers):
    for decode in (lambda: enriched.decode(value, record_headers), lambda: counts.decode(value)):
        with pytest.raises(DeadLetter, match="undecodable"):
            decode()
    with pytest.raises(ValueError, match="logs-dlq"):
        dead_letter.decode(b"", value, record_headers)
