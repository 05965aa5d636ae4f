import pytest

from logsync_streams.errors import InvalidQuery
from logsync_streams.query.language import MAX_NESTING, parse, print_query
from logsync_streams.storage.api import All, And, Equals, Exists, Not, Or, Prefix, Range, Text

A, B, C = Text("a"), Text("b"), Text("c")
STATUS = "http.response.status_code"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", All()),
        (" \t\n", All()),
        ("*", All()),
        ("timeout", Text("timeout")),
        ('"connection refused"', Text("connection refused")),
        (r'"say \"hi\" \\ there"', Text('say "hi" \\ there')),
        ("user-id", Text("user-id")),
        ("[ERROR]", Text("[ERROR]")),
        ("日志", Text("日志")),
        ("and or not", And((Text("and"), Text("or"), Text("not")))),
        (r"\AND", Text("AND")),
        ('"AND"', Text("AND")),
        ("service:auth-service", Equals("service.name", "auth-service")),
        ('service:"a b"', Equals("service.name", "a b")),
        ('service:""', Equals("service.name", "")),
        ("service: auth", Equals("service.name", "auth")),
        ("level:WARNING", Equals("log.level", "warn")),
        ("env:Production", Equals("service.environment", "Production")),
        ("host.ip:fe80::1", Equals("host.ip", "fe80::1")),
        ("source.ip:10.0.0.0/8", Equals("source.ip", "10.0.0.0/8")),
        ("metadata.region:eu-1", Equals("labels.region", "eu-1")),
        (r"labels.a\ b\:c:x", Equals("labels.a b:c", "x")),
        ('message:"too many"', Text("too many", "message")),
        ("error.type:java.lang.Error", Equals("error.type", "java.lang.Error")),
        ("Time*", Prefix("time")),
        ("message:Time*", Prefix("time", "message")),
        ("host:Web-*", Prefix("Web-", "host.name")),
        ("level:ERR*", Prefix("err", "log.level")),
        (r"host:web\*", Equals("host.name", "web*")),
        ("trace:*", Exists("trace.id")),
        ("message:*", Exists("message")),
        (f"{STATUS}:404", Equals(STATUS, "404")),
        (f"{STATUS}:>=500", Range(STATUS, "500")),
        (f"{STATUS}:> 500", Range(STATUS, "500", include_lower=False)),
        (f"{STATUS}:<=500", Range(STATUS, None, "500")),
        (f"{STATUS}:<500", Range(STATUS, None, "500", include_upper=False)),
        (f"{STATUS}:[500 TO 599]", Range(STATUS, "500", "599")),
        (f"{STATUS}:{{1 TO 5}}", Range(STATUS, "1", "5", False, False)),
        (f"{STATUS}:[ 1 TO 5 }}", Range(STATUS, "1", "5", True, False)),
        (f"{STATUS}:{{* TO 5]", Range(STATUS, None, "5")),
        (f"{STATUS}:[* TO *]", Exists(STATUS)),
        ('@timestamp:["2026-11-24T10:00:00Z" TO *]', Range("@timestamp", "2026-11-24T10:00:00Z")),
        ("timestamp:>2026-11-24T10:00:00Z", Range("@timestamp", "2026-11-24T10:00:00Z", include_lower=False)),
        ("level:>=warning", Range("event.severity", "13")),
        ("-a", Not(A)),
        ("NOT a", Not(A)),
        ("--a", Not(Not(A))),
        ("-level:debug", Not(Equals("log.level", "debug"))),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a AND NOT b", And((A, Not(B)))),
        ("a b OR c", Or((And((A, B)), C))),
        ("a (b OR c)", And((A, Or((B, C))))),
        ("(a b) c", And((And((A, B)), C))),
        ("((a))", A),
        ('a"b"', And((A, B))),
        ("-(a b)", Not(And((A, B)))),
        ("level:(error OR fatal)", Or((Equals("log.level", "error"), Equals("log.level", "fatal")))),
        ("message:(a -b)", And((Text("a", "message"), Not(Text("b", "message"))))),
    ],
)
def test_a_text_means_this_query(text, query):
    assert query == parse(text)


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ('say "boom', 5, "never closed"),
        ("a (b OR c", 3, "never closed"),
        ("a) b", 2, "never opened"),
        ("a ()", 4, "before this parenthesis"),
        ("a OR", 5, "ends where a word was expected"),
        ("OR a", 1, "on both sides"),
        ("a AND AND b", 7, "on both sides"),
        ("NOT", 4, "ends where"),
        ("foo - bar", 5, "right before"),
        ("-", 1, "right before"),
        ("a =>", 3, "no letter or digit"),
        ("a && b", 3, "no letter or digit"),
        ("a *b", 3, "at the end of a word only"),
        ("foo-bar*", 1, "beginning of one word"),
        ("x servce:auth", 3, "'servce' is not indexed"),
        ("x http://example.com", 3, "'http' is not indexed"),
        ("service:", 9, "a value is missing"),
        ("(service: )", 11, "a value is missing"),
        ("event.original:x", 1, "stored but not indexed"),
        ("a event.severity:high", 3, "whole number"),
        ("event.severity:5*", 1, "beginning"),
        ("host.ip:nowhere", 1, "address"),
        ("@timestamp:>yesterday", 1, "time is expected"),
        ("level:>loud", 1, "no level"),
        ("labels.x:[1 TO 2]", 1, "no ranges"),
        ("message:[a TO b]", 1, "no ranges"),
        ("event.severity:[1 2]", 16, "not complete"),
        ("event.severity:[1 TO 2", 16, "not complete"),
        ("event.severity:[ TO 2]", 16, "not complete"),
        ("event.severity:>=", 18, "bound of the range is missing"),
        ("event.severity:[1* TO 2]", 17, "within a bound"),
        ("service:(a level:b)", 12, "within the parentheses"),
        ("a\\", 2, "after a backslash"),
        ("a \ud800", 3, "Unicode"),
    ],
)
def test_a_wrong_query_says_where_and_why(text, column, words):
    with pytest.raises(InvalidQuery, match=words) as caught:
        parse(text)

    assert column == caught.value.column


def test_a_misspelt_field_is_answered_with_the_likely_one():
    with pytest.raises(InvalidQuery) as caught:
        parse("servce:auth")

    assert "did you mean service?" in (caught.value.hint or "")


def test_the_bounds_on_length_and_clauses_are_exact():
    assert And(tuple(Text(f"w{i}") for i in range(5))) == parse("w0 w1 w2 w3 w4", max_clauses=5, max_bytes=14)
    with pytest.raises(InvalidQuery, match="more than 4 words"):
        parse("w0 w1 w2 w3 w4", max_clauses=4)
    with pytest.raises(InvalidQuery, match="14 bytes, at most 13"):
        parse("w0 w1 w2 w3 w4", max_bytes=13)
    with pytest.raises(InvalidQuery, match="4 bytes, at most 3"):
        parse("éé", max_bytes=3)


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("-", ""), ("NOT ", ""), ("level:(", ")")])
def test_nesting_is_bounded_so_that_nothing_has_to_recurse_far(opening, closing):
    if "level" not in opening:
        parse(opening * MAX_NESTING + "a" + closing * MAX_NESTING)
    with pytest.raises(InvalidQuery):
        parse(opening * 20_000 + "a" + closing * 20_000, max_bytes=1_000_000)


def test_a_long_unknown_level_is_cut_to_what_reads_back_as_itself():
    query = parse(f'level:"{"x" * 31} yz"')

    assert query == parse(print_query(query))


def test_printing_shows_grouping_and_quotes_where_they_are_needed():
    query = And((Or((A, B)), Not(Text("x y")), Equals("labels.a b", "NOT"), Prefix("w-", "host.name")))

    assert r'(a OR b) -"x y" labels.a\ b:"NOT" host.name:w\-*' == print_query(query)
