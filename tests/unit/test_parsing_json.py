import orjson
import pytest

from logsync_streams.errors import DeadLetter
from logsync_streams.parsing import PARSERS, ecs
from logsync_streams.parsing.json import parse
from logsync_streams.parsing.labels import MAX_KEY_LENGTH, MAX_LABELS, MORE
from logsync_streams.storage import mapping

RECEIVED = 1_714_566_900_000


def parsed(document):
    return parse(orjson.dumps(document), RECEIVED)


def test_the_seven_fields_of_a_log_have_their_places():
    fields = parsed(
        {
            "timestamp": "2024-05-01T12:34:56.789Z",
            "level": "ERROR",
            "service": "auth-service",
            "host": "web-03",
            "message": "boom",
            "environment": "production",
            "metadata": {"user": "4711", "region": "eu"},
        }
    )

    assert {
        "@timestamp": 1_714_566_896_789,
        "log": {"level": "error"},
        "service": {"name": "auth-service", "environment": "production"},
        "host": {"name": "web-03"},
        "message": "boom",
        "labels": {"user": "4711", "region": "eu"},
    } == fields


def test_what_a_sender_left_out_or_gave_as_null_is_absent():
    assert {"message": "boom"} == parsed({"message": "boom", "level": None, "timestamp": None, "metadata": None})
    assert {} == parsed({})


def test_an_ecs_document_is_the_same_nested_or_dotted():
    nested = parsed({"@timestamp": "2024-05-01T12:34:56Z", "log": {"level": "warning"}, "service": {"name": "a"}})
    dotted = parsed({"@timestamp": "2024-05-01T12:34:56Z", "log.level": "warning", "service.name": "a"})

    assert {"@timestamp": 1_714_566_896_000, "log": {"level": "warn"}, "service": {"name": "a"}} == nested == dotted


def test_unknown_keys_become_labels_with_dotted_names():
    fields = parsed({"message": "m", "request": {"id": "x", "size": 5}, "retry": True, "metadata": {"a": {"b": 1.5}}})

    assert {"a.b": "1.5", "request.id": "x", "request.size": "5", "retry": "true"} == fields["labels"]


@pytest.mark.parametrize(
    ("document", "label"),
    [
        ({"timestamp": "yesterday"}, ("timestamp", "yesterday")),
        ({"level": ["error"]}, ("level", ["error"])),
        ({"message": {"text": "x"}}, ("message.text", "x")),
        ({"host": True}, ("host", "true")),
        ({"environment": 5}, ("environment", "5")),
        ({"metadata": "plain"}, ("metadata", "plain")),
        ({"http": {"response": {"status_code": "abc"}}}, ("http.response.status_code", "abc")),
        ({"source.ip": "not an address"}, ("source.ip", "not an address")),
        ({"trace": "t"}, ("trace", "t")),
        ({"event": {"id": "mine"}}, ("event.id", "mine")),
        ({"logsync": {"source": "forged"}}, ("logsync.source", "forged")),
        ({"n": 10**30}, ("n", "1e+30")),
        ({"": {"": "x"}}, ("_", "x")),
        ({"a\0b": "x"}, ("a\ufffdb", "x")),
        ({"empty": {}}, ("empty", "{}")),
    ],
)
def test_a_value_that_does_not_fit_becomes_a_label_and_nothing_else(document, label):
    data = orjson.dumps(document) if "n" not in document else b'{"n":1000000000000000000000000000000}'

    fields = parse(data, RECEIVED)

    assert {"labels": {label[0]: label[1]}} == fields


def test_a_second_spelling_of_a_field_becomes_a_label():
    fields = parsed({"level": "info", "log": {"level": "error"}, "message": "m"})

    assert {"log": {"level": "info"}, "message": "m", "labels": {"log.level": "error"}} == fields


@pytest.mark.parametrize(
    ("written", "level"),
    [("Error", "error"), ("WARNING", "warn"), (" warn ", "warn"), (3, "error"), ("4", "warn"), (30, "warn"),
     (10, "debug"), (55, "critical"), (60, "fatal"), (0, "fatal"), ("Chatty", "chatty")],
)  # fmt: skip
def test_levels_are_read_as_words_and_as_numbers(written, level):
    assert {"log": {"level": level}} == parsed({"level": written})


def test_more_labels_than_the_bound_are_kept_as_one_text():
    labels = parsed({"metadata": {f"k{i}": i for i in range(MAX_LABELS + 2)}})["labels"]

    assert MAX_LABELS + 1 == len(labels)
    assert [["k1000", "1000"], ["k1001", "1001"]] == orjson.loads(labels[MORE])


def test_a_long_key_is_cut():
    labels = parsed({"metadata": {"k" * 1000: "v"}})["labels"]

    assert {"k" * MAX_KEY_LENGTH: "v"} == labels


def test_keys_that_meet_after_joining_lose_nothing():
    labels = parsed({"a.b": "1", "a": {"b": "2"}})["labels"]

    assert "1" == labels["a.b"]
    assert [["a.b", "2"]] == orjson.loads(labels[MORE])


@pytest.mark.parametrize("opening", [b'{"a":', b"["])
def test_a_thousand_levels_are_read(opening):
    depth = 1000
    closing = b"}" if opening[:1] == b"{" else b"]"
    data = b'{"x":' + opening * depth + b"1" + closing * depth + b"}"

    assert parse(data, RECEIVED)["labels"]


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"1", b'"x"', b"null", b"\xff{}", b"NaN"])
def test_what_is_no_json_object_is_undecodable(data):
    with pytest.raises(DeadLetter) as refused:
        parse(data, RECEIVED)

    assert "undecodable" == refused.value.category


def test_the_fields_a_sender_may_set_are_those_of_the_mapping_that_process_does_not_set():
    ours = {"event", "logsync"}
    stored = {name for name, kind in mapping.FIELDS.items() if kind is mapping.FieldType.STORED}

    assert {name for name in mapping.FIELDS if name.split(".")[0] not in ours} - stored == set(ecs.FITS)


MS = 1_714_566_896_789
ISO = "2024-05-01T12:34:56.789Z"


@pytest.mark.parametrize(
    ("shape", "document", "level", "rest"),
    [
        ("bunyan", {"name": "a", "hostname": "h", "pid": 1, "level": 30, "msg": "m", "time": ISO, "v": 0}, "info",
         {"service": {"name": "a"}, "host": {"name": "h"}, "labels": {"pid": "1", "v": "0"}}),
        ("pino", {"level": 50, "time": MS, "pid": 1, "hostname": "h", "msg": "m", "err": {"type": "E", "stack": "s"}},
         "error", {"host": {"name": "h"}, "error": {"type": "E", "stack_trace": "s"}, "labels": {"pid": "1"}}),
        ("zap", {"level": "warn", "ts": MS / 1000, "logger": "l", "caller": "a.go:1", "msg": "m", "stacktrace": "s"},
         "warn", {"error": {"stack_trace": "s"}, "labels": {"caller": "a.go:1"}}),
        ("serilog compact", {"@t": ISO, "@mt": "m", "@x": "s"}, "info", {"error": {"stack_trace": "s"}}),
        ("serilog", {"Timestamp": ISO, "Level": "Verbose", "MessageTemplate": "m", "Properties": {"P": 1}}, "trace",
         {"labels": {"Properties.P": "1"}}),
        ("logstash", {"@timestamp": ISO, "@version": "1", "message": "m", "logger_name": "l", "level": "ERROR"},
         "error", {"labels": {"@version": "1"}}),
        ("logrus", {"level": "fatal", "msg": "m", "time": ISO, "error": "why"}, "fatal", {"error": {"message": "why"}}),
        ("gelf", {"version": "1.1", "host": "h", "short_message": "m", "timestamp": MS / 1000, "level": 3}, "error",
         {"host": {"name": "h"}, "labels": {"version": "1.1"}}),
        ("google cloud", {"severity": "NOTICE", "message": "m", "timestamp": ISO}, "notice", {}),
        ("container", {"log": "m", "stream": "stderr", "time": ISO}, None, {"labels": {"stream": "stderr"}}),
        ("nanoseconds", {"lvl": 4, "msg": "m", "ts": MS * 1_000_000}, "warn", {}),
    ],
)  # fmt: skip
def test_what_common_loggers_write_has_its_places(shape, document, level, rest):
    fields = parsed(document)
    log = fields.pop("log", {})
    log.pop("logger", None)

    assert {"@timestamp": MS, "message": "m", **rest} == fields
    assert ({} if level is None else {"level": level}) == log


def test_our_name_wins_over_ecs_and_ecs_over_a_loggers():
    fields = parsed({"msg": "theirs", "time": MS, "@timestamp": ISO, "severity": "debug", "log": {"level": "error"}})

    assert {"@timestamp": MS, "message": "theirs", "log": {"level": "error"}} == {
        name: fields[name] for name in fields if name != "labels"
    }
    assert {"severity": "debug", "time": str(MS)} == fields["labels"]


def test_pythons_numbers_stay_pythons_where_no_bunyan_is_seen():
    assert {"log": {"level": "warn"}} == parsed({"level": 30})


def test_every_format_has_its_parser():
    assert {"fluentd", "form", "json", "syslog", "text"} == set(PARSERS)
