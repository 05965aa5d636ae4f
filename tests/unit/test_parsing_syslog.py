import pytest
from pydantic import ValidationError

from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.collector.syslog import SyslogUdp
from logsync_streams.events import iso_time
from logsync_streams.parsing import PARSERS, in_zone
from logsync_streams.parsing.syslog import parse
from logsync_streams.parsing.text import decode_text
from logsync_streams.parsing.text import parse as parse_text
from logsync_streams.parsing.times import epoch_ms
from logsync_streams.settings import CollectorSettings

NEW_YEAR = 1_704_067_230_000  # 2024-01-01T00:00:30Z


def test_rfc5424_with_structured_data():
    fields = parse(
        b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 42 ID47 "
        b'[a@1 iut="3" q="say \\"hi\\" \\\\ \\]"][b@1] \xef\xbb\xbfAn event\n',
        NEW_YEAR,
    )

    assert {
        "@timestamp": 1_065_910_455_003,
        "message": "An event",
        "host": {"name": "mymachine.example.com"},
        "service": {"name": "evntslog"},
        "log": {
            "level": "notice",
            "syslog": {
                "priority": 165,
                "facility": {"code": 20, "name": "local4"},
                "severity": {"code": 5, "name": "notice"},
                "version": "1",
                "hostname": "mymachine.example.com",
                "appname": "evntslog",
                "procid": "42",
                "msgid": "ID47",
                "structured_data": {"a@1": {"iut": "3", "q": 'say "hi" \\ ]'}, "b@1": {}},
            },
        },
        "labels": {"a@1.iut": "3", "a@1.q": 'say "hi" \\ ]', "b@1": "{}"},
    } == fields


def test_rfc5424_with_everything_left_out():
    fields = parse(b"<0>1 - - - - - -", NEW_YEAR)

    assert {
        "message": "",
        "log": {
            "level": "fatal",
            "syslog": {
                "priority": 0,
                "facility": {"code": 0, "name": "kern"},
                "severity": {"code": 0, "name": "emerg"},
                "version": "1",
            },
        },
    } == fields


@pytest.mark.parametrize(
    ("line", "host", "service", "procid", "message"),
    [
        (b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", "mymachine", "su", None, "'su root' failed"),
        (b"<13>Feb  5 17:32:18 10.0.0.99 app[123]: up", "10.0.0.99", "app", "123", "up"),
        (b"<13>Feb 05 17:32:18 app[123]: no host", None, "app", "123", "no host"),
        (b"<13>Feb 5 17:32:18 fe80::1 app: v6", "fe80::1", "app", None, "v6"),
        (b"<13>Feb  5 17:32:18 host no tag at all", "host", None, None, "no tag at all"),
        (b"<13>2024-02-05T17:32:18.123456+01:00 host app[1]: rsyslog", "host", "app", "1", "rsyslog"),
    ],
)
def test_rfc3164_and_its_common_forms(line, host, service, procid, message):
    fields = parse(line, NEW_YEAR)

    assert host == fields.get("host", {}).get("name")
    assert service == fields.get("service", {}).get("name")
    assert procid == fields["log"]["syslog"].get("procid")
    assert message == fields["message"]
    assert "@timestamp" in fields


@pytest.mark.parametrize(
    ("written", "time"),
    [
        (b"Dec 31 23:59:59", 1_704_067_199_000),  # of the year before
        (b"Jan  1 00:00:10", 1_704_067_210_000),
        (b"Feb 29 12:00:00", 1_709_208_000_000),
    ],
)
def test_an_rfc3164_time_is_of_the_year_nearest_to_its_receipt(written, time):
    assert time == parse(b"<13>" + written + b" h a: m", NEW_YEAR)["@timestamp"]


@pytest.mark.parametrize("line", [b"", b"no priority", b"garbage: May 1", b"29: hello", b"<x>1 - - - - - -", b"<13"])
def test_anything_else_is_kept_as_text_and_marked(line):
    assert {"message": line.decode(), "tags": ["unparsed"]} == parse(line, NEW_YEAR)


@pytest.mark.parametrize(
    ("line", "message", "tags"),
    [
        (b"<192>1 - - - - - - over the highest", "over the highest", ["bad_priority"]),
        (b"<999>May  1 12:00:00 h a: m", "m", ["bad_priority"]),
        (b"May  1 12:00:00 h a[1]: m", "m", ["no_priority"]),
        (b"2023-05-01T12:00:00Z h a: m", "m", ["no_priority"]),
        (b"<13>1 - h a - - [broken", "[broken", ["malformed"]),
        (b'<13>1 - h a - - [a x="1"]no space', '[a x="1"]no space', ["malformed"]),
        (b'<13>1 - h a - - [a x="1"][a x="2"] twice', '[a x="1"][a x="2"] twice', ["malformed"]),
        (b"<13>1 2023-05-01T12:00:00Z h no structured data", "no structured data", ["malformed"]),
        (b"<13>no header at all", "no header at all", None),
        (b"<13>Feb 30 17:32:18 h a: no such day", "Feb 30 17:32:18 h a: no such day", None),
        (b"<13>Foo  5 17:32:18 h a: no such month", "Foo  5 17:32:18 h a: no such month", None),
        (b"<13>1 2023-13-01T00:00:00Z h - - no such", "1 2023-13-01T00:00:00Z h - - no such", None),
        (b'<13>date=2023-05-01 devname="x"', 'date=2023-05-01 devname="x"', None),
        (b"\xef\xbb\xbf<13>May  1 12:00:00 h a: byte order mark", "byte order mark", None),
    ],
)
def test_what_is_nearly_syslog_keeps_its_level_and_says_what_was_wrong(line, message, tags):
    fields = parse(line, NEW_YEAR)

    assert (message, tags, "notice") == (fields["message"], fields.get("tags"), fields["log"]["level"])


@pytest.mark.parametrize(
    ("line", "time", "host", "service", "message"),
    [
        (b"<189>29: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured", "03-01T18:48:50.483", None, "SYS",
         "Configured"),
        (b"<187>45: r1: 000123: Mar  1 18:48:50.001: %LINK-3-UPDOWN: up", "03-01T18:48:50.001", "r1", "LINK", "up"),
        (b"<166>Mar 01 2024 12:00:00 asa1 : %ASA-6-302013: Built", "03-01T12:00:00.000", "asa1", "ASA", "Built"),
        (b"<189>: 2024 Mar  1 12:00:00 UTC: %DAEMON-5-X: ok", "03-01T12:00:00.000", None, "DAEMON", "ok"),
        (b"<134>1 1709294400.857 MR18 events a=b", "03-01T12:00:00.857", "MR18", None, "events a=b"),
        (b"<13>2024-03-01 12:00:00,123 h a: m", "03-01T12:00:00.123", "h", "a", "m"),
        (b"<13>Mar  1 12:00:00.25 h a: m", "03-01T12:00:00.250", "h", "a", "m"),
        (b"<13> Mar 1 12:00:00 h a[2]: m", "03-01T12:00:00.000", "h", "a", "m"),
    ],
)  # fmt: skip
def test_devices_and_daemons_have_dialects(line, time, host, service, message):
    fields = parse(line, NEW_YEAR)

    assert f"2024-{time}Z" == iso_time(fields["@timestamp"])
    assert (host, service, message) == (
        fields.get("host", {}).get("name"),
        fields.get("service", {}).get("name"),
        fields["message"],
    )


def test_a_priority_and_a_tag_are_enough():
    fields = parse(b"<13>app[12]: as the C library sends it", NEW_YEAR)

    assert ({"name": "app"}, "12") == (fields["service"], fields["log"]["syslog"]["procid"])


def test_64_kib_are_kept_whole():
    assert 65_000 == len(parse(b"<13>May  1 12:00:00 h a: " + b"x" * 65_000, NEW_YEAR)["message"])


def test_a_name_that_comes_again_in_an_element_is_a_list():
    fields = parse(b'<13>1 - h a - - [o ip="1" ip="2" ip="3"] m', NEW_YEAR)

    assert {"o": {"ip": ["1", "2", "3"]}} == fields["log"]["syslog"]["structured_data"]


def test_bytes_that_are_not_utf8_are_latin1_and_nuls_are_shown():
    assert "caf\xe9 \ufffd end" == decode_text(b"caf\xe9 \0 end\0\r\n")
    assert {"message": "caf\xe9"} == parse_text("caf\xe9\n".encode(), NEW_YEAR)


def milliseconds(text: str) -> int:
    found = epoch_ms(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("zone", "received", "written", "time"),
    [
        ("Europe/Berlin", "2024-05-01T10:00:05Z", b"<13>May  1 12:00:00 h a: x", "2024-05-01T10:00:00Z"),
        ("Europe/Berlin", "2024-01-15T11:00:05Z", b"<13>Jan 15 12:00:00 h a: x", "2024-01-15T11:00:00Z"),
        # New Year is not at the same moment everywhere.
        ("Asia/Tokyo", "2023-12-31T15:00:30Z", b"<13>Jan  1 00:00:00 h a: x", "2023-12-31T15:00:00Z"),
        ("Asia/Tokyo", "2023-12-31T15:00:30Z", b"<13>Dec 31 23:59:59 h a: x", "2023-12-31T14:59:59Z"),
        ("America/Los_Angeles", "2024-01-01T07:59:59Z", b"<13>Dec 31 23:59:58 h a: x", "2024-01-01T07:59:58Z"),
        ("America/Los_Angeles", "2024-01-01T08:00:01Z", b"<13>Jan  1 00:00:00 h a: x", "2024-01-01T08:00:00Z"),
        ("Europe/Berlin", "2024-02-29T12:00:00Z", b"<13>Feb 29 13:00:00 h a: x", "2024-02-29T12:00:00Z"),
        # A zone of its own wins; RFC 3339 without one, and a year, are in the door's zone, too.
        ("Europe/Berlin", "2024-05-01T10:00:05Z", b"<13>2024-05-01T12:00:00Z h a: x", "2024-05-01T12:00:00Z"),
        ("Europe/Berlin", "2024-05-01T10:00:05Z", b"<13>2024-05-01T12:00:00 h a: x", "2024-05-01T10:00:00Z"),
        ("Europe/Berlin", "2024-05-01T10:00:05Z", b"<13>1 2024-05-01T12:00:00 h a - - - x", "2024-05-01T10:00:00Z"),
        ("Europe/Berlin", "2024-05-01T10:00:05Z", b"<13>2024 May  1 12:00:00 h a: x", "2024-05-01T10:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_in_the_zone_of_its_door(zone, received, written, time):
    fields = PARSERS[in_zone("syslog", zone)](written, milliseconds(received))

    assert milliseconds(time) == fields["@timestamp"]


def test_a_zone_that_the_worker_does_not_know_costs_no_log_and_shows():
    fields = PARSERS["syslog@Mars/Olympus"](b"<13>May  1 12:00:00 h a: x", milliseconds("2024-05-01T12:00:05Z"))

    assert ("x", milliseconds("2024-05-01T12:00:00Z"), ["unknown_time_zone"]) == (
        fields["message"],
        fields["@timestamp"],
        fields["tags"],
    )
    assert PARSERS.get("json@Europe/Berlin") is None


def test_a_door_says_which_zone_its_times_are_in_and_refuses_one_that_is_none():
    published = MemoryPublisher(lambda: 0)
    SyslogUdp(published, CollectorSettings(syslog_time_zone="Europe/Berlin", multiline_wait_ms=0)).datagram_received(
        b"<13>x", ("192.0.2.1", 514)
    )
    with pytest.raises(ValidationError, match="Europe/Berlin, is expected"):
        CollectorSettings(syslog_time_zone="Mars/Olympus")

    assert ["syslog@Europe/Berlin"] == [envelope.format for envelope in published.envelopes]
