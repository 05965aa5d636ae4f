"""Whatever bytes come, a parser gives fields that can be stored, or refuses them by name."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.errors import DeadLetter
from logsync_streams.events import SEVERITIES
from logsync_streams.parsing import PARSERS
from logsync_streams.parsing.json import parse as parse_json
from logsync_streams.parsing.labels import MAX_KEY_LENGTH, MAX_LABELS, Labels, plain
from logsync_streams.parsing.syslog import FACILITIES
from logsync_streams.parsing.syslog import SEVERITIES as SYSLOG_SEVERITIES
from logsync_streams.parsing.syslog import parse as parse_syslog
from logsync_streams.parsing.times import epoch_ms

RECEIVED = st.integers(min_value=-(2**62), max_value=2**62)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = 1_714_566_900_000

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
KNOWN = (
    "timestamp @timestamp level service host message environment metadata labels log tags log.level name syslog "
    "priority source ip port http response status_code event id trace labels.x error stack_trace _more"
)
names = st.sampled_from(["", *KNOWN.split()]) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5))
documents = st.dictionaries(names, values, max_size=12)
token = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=32)
sd_name = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='="]'), min_size=1, max_size=32)


@pytest.mark.parametrize("format", sorted(PARSERS))
@given(data=st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")), received_at=RECEIVED)
def test_any_bytes_become_fields_or_are_undecodable(format, data, received_at):
    try:
        fields = PARSERS[format](data, received_at)
    except DeadLetter as error:
        refused = error
    else:
        orjson.dumps(fields)
        return

    assert "undecodable" == refused.category
    assert format in ("json", "fluentd")


@given(documents)
def test_any_json_object_becomes_bounded_fields(document):
    data = orjson.dumps(document)
    fields = parse_json(data, NOW)

    orjson.dumps(fields)
    assert fields == parse_json(data, NOW + 1)
    assert {"event", "logsync"}.isdisjoint(fields)
    assert isinstance(fields.get("@timestamp", 0), int)
    assert isinstance(fields.get("message", ""), str)
    labels = fields.get("labels", {})
    assert MAX_LABELS + 1 >= len(labels)
    for key, value in labels.items():
        assert 0 < len(key) <= MAX_KEY_LENGTH
        assert isinstance(value, str) or all(isinstance(item, str) for item in value)


@given(st.dictionaries(names, texts))
def test_plain_metadata_is_what_labels_would_have_made_of_it(metadata):
    labels = Labels()
    labels.add_all(metadata)

    assert not plain(metadata) or metadata == labels.result()


@given(st.binary(max_size=40), st.binary(max_size=200))
def test_bytes_behind_a_syslog_head_never_raise(middle, rest):
    for head in (b"<13>1 2024-05-01T12:00:00Z h a 1 - [", b"<13>May  1 12:00:00 ", b"<1", b"<13>1 "):
        orjson.dumps(parse_syslog(head + middle + rest, NOW))


@given(
    facility=st.integers(0, 23),
    severity=st.integers(0, 7),
    host=token,
    app=token,
    procid=token,
    msgid=token,
    elements=st.dictionaries(sd_name, st.dictionaries(sd_name, texts.filter(lambda t: "\0" not in t))),
    message=texts.filter(lambda text: "\0" not in text and not text.startswith("\ufeff")),
)
def test_a_well_formed_rfc5424_message_is_read_back_as_it_was_written(
    facility, severity, host, app, procid, msgid, elements, message
):
    def escaped(value):
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")

    structured = "".join(
        f"[{name}" + "".join(f' {key}="{escaped(value)}"' for key, value in params.items()) + "]"
        for name, params in elements.items()
    )
    line = f"<{facility * 8 + severity}>1 - {host} {app} {procid} {msgid} {structured or '-'} {message}"

    fields = parse_syslog(line.encode(), NOW)

    syslog = fields["log"]["syslog"]
    assert message.rstrip("\r\n") == fields["message"]
    assert FACILITIES[facility] == syslog["facility"]["name"]
    assert SYSLOG_SEVERITIES[severity] == syslog["severity"]["name"]
    assert fields["log"]["level"] in SEVERITIES
    for written, read in ((host, "hostname"), (app, "appname"), (procid, "procid"), (msgid, "msgid")):
        assert (None if written == "-" else written) == syslog.get(read)
    assert elements == syslog.get("structured_data", {})


@given(st.datetimes(), st.sampled_from(["", "Z", "+00:00"]))
def test_iso_times_are_floored_to_milliseconds(at, zone):
    exact = (at.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)

    assert exact == epoch_ms(at.isoformat() + zone)


@given(scalars | values)
def test_any_value_is_a_time_or_none(value):
    found = epoch_ms(value)

    assert found is None or isinstance(found, int)
