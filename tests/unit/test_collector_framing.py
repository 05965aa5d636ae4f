import pytest

from logsync_streams.collector.framing import frame
from logsync_streams.errors import RejectInput

NDJSON = "application/x-ndjson"
CURL = "application/x-www-form-urlencoded"


def framed(body, content_type="application/json", *, max_event_bytes=1024, max_events=10):
    return frame(body, content_type, max_event_bytes=max_event_bytes, max_events=max_events)


def rejected(*args, **limits):
    with pytest.raises(RejectInput) as refused:
        framed(*args, **limits)
    return refused.value


@pytest.mark.parametrize("content_type", ["application/json", CURL, "", "application/octet-stream", NDJSON])
def test_one_object_is_one_event_byte_for_byte(content_type):
    body = b'{"message": "boom",  "n": 1.0}'

    assert ("json", [body], []) == parts(framed(body + b"\n", content_type))


@pytest.mark.parametrize("content_type", ["application/json", CURL, "", NDJSON, "text/plain"])
def test_ndjson_is_known_by_its_look(content_type):
    body = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'

    assert ("json", [b'{"a":1}', b'{"b":2}\r', b'{"c":3}'], []) == parts(framed(body, content_type))


def parts(found):
    return found.format, found.events, [(refused.line, refused.byte) for refused in found.refused]


def test_an_array_is_an_event_an_element():
    assert ("json", [b'{"a":1}', b'{"b":[1,2]}'], [(2, 0)]) == parts(framed(b'[{"a": 1}, 5, {"b": [1, 2]}]'))
    assert ("json", [], []) == parts(framed(b"[]"))


def test_an_object_over_several_lines_is_one_event():
    body = b'{\n "a": 1,\n "b": {\n "c": 2}\n}'

    assert [body] == framed(body).events


def test_lines_of_text_are_events():
    assert ("text", [b"one", b"{two}", b"caf\xe9"], []) == parts(framed(b"one\n\n{two}\ncaf\xe9\n", "text/plain"))


@pytest.mark.parametrize("content_type", ["application/json", NDJSON])
def test_a_bad_line_is_refused_with_its_place_and_the_others_are_taken(content_type):
    body = '{"a":1}\n{"b":\n"c"\n{"ä":x}\n{"d":4}'.encode()

    assert ("json", [b'{"a":1}', b'{"d":4}'], [(2, 6), (3, 1), (4, 7)]) == parts(framed(body, content_type))


@pytest.mark.parametrize(
    ("body", "line", "byte"),
    [
        (b'{"a" 1}', 1, 6),
        (b'{"a": 1,\n "b" 2}', 2, 6),
        ('{"ä": "ö",\n "ü" 2}'.encode(), 2, 7),
        (b'\n\n{"a": tru}', 3, 7),
        (b'{"a": "\xff"}', 1, 8),
        (b"hello", 1, 1),
        (b'"text"', 1, 1),
        (b"12", 1, 1),
        (b"null", 1, 1),
    ],
)
def test_malformed_json_is_refused_with_line_and_byte(body, line, byte):
    refused = rejected(body)

    assert (400, line, byte) == (refused.status, refused.extra["line"], refused.extra["byte"])
    assert f"line {line}, byte {byte}" in refused.detail


def test_lines_that_are_all_bad_are_refused_together():
    refused = rejected(b"{\n[\n", NDJSON)

    assert (400, [1, 2]) == (refused.status, [item["line"] for item in refused.extra["refused"]])


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("content_type", ["application/json", NDJSON, "text/plain"])
def test_an_empty_body_is_refused(body, content_type):
    assert 400 == rejected(body, content_type).status


def test_a_byte_order_mark_is_no_part_of_the_event():
    assert [b'{"a":1}'] == framed(b'\xef\xbb\xbf{"a":1}').events


def test_an_event_over_the_limit_is_refused_and_the_others_are_taken():
    long = b'{"a":"' + b"x" * 1024 + b'"}'

    assert (413, 1024) == ((refused := rejected(long)).status, refused.extra["limit_bytes"])
    assert ("json", [b'{"b":1}'], [(1, 0)]) == parts(framed(long + b'\n{"b":1}', NDJSON))
    assert ("json", [b'{"b":1}'], [(1, 0)]) == parts(framed(b"[" + long + b',{"b":1}]'))
    assert ("text", [b"b"], [(1, 0)]) == parts(framed(long + b"\nb", "text/plain"))


@pytest.mark.parametrize(("body", "content_type"), [(b'{"a":1}\n' * 11, NDJSON), (b"[" + b"{}," * 10 + b"{}]", "")])
def test_too_many_events_are_refused(body, content_type):
    assert (413, 10) == ((refused := rejected(body, content_type)).status, refused.extra["limit_events"])


LONG = b'{"message":"' + b"x" * 900 + b'"}'
MANY = 1500  # together more than is read as a whole


def test_a_long_array_is_an_event_an_element_as_it_came():
    body = b"[" + b" ,\n".join([LONG] * MANY + [b"5", b'{"a":[[[[[[[[{"b":"]}"}]]]]]]]]}']) + b" ]"
    found = framed(body, max_events=10_000)

    assert MANY + 1 == len(found.events)
    assert {LONG, b'{"a":[[[[[[[[{"b":"]}"}]]]]]]]]}'} == set(found.events)
    assert [(MANY + 1, 0)] == [(refused.line, refused.byte) for refused in found.refused]


@pytest.mark.parametrize(("end", "line"), [(b",]", MANY), (b',{"a":x}]', MANY), (b"", MANY), (b"] 5", MANY)])
def test_a_long_array_that_is_malformed_is_refused_with_its_place(end, line):
    error = rejected(b"[" + b",\n".join([LONG] * MANY) + end, max_events=10_000)

    assert (400, line) == (error.status, error.extra["line"])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" + b"{}," * 600_000 + b"{}]", ""),
        (b"{}\n" * 600_000, ""),
        (b"{}" * 600_000, ""),
        (b"x\n" * 600_000, "text/plain"),
    ],
)
def test_a_body_of_very_many_events_is_given_up_at_the_bound(body, content_type):
    error = rejected(body, content_type, max_events=1000)

    assert (413, 1000) == (error.status, error.extra["limit_events"])


def test_of_very_many_bad_lines_the_first_are_named_and_all_are_counted():
    found = framed(b'{"a":1}\n' + b"bad\n" * 500, NDJSON, max_events=1000)

    assert (1, 500, 100) == (len(found.events), found.refused_count, len(found.refused))


@pytest.mark.parametrize("body", [b'{"a":"' + b"x" * 2000 + b'"}', b'{"a":[\n' + b"[],\n" * 600_000 + b"[]]}"])
def test_one_object_over_the_limit_is_refused_for_its_size(body):
    assert (413, 1024) == ((error := rejected(body)).status, error.extra["limit_bytes"])
