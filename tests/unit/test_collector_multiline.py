import pytest

from logsync_streams.collector.multiline import Joiner, join_lines, syslog_head

TRACES = {
    "java": [
        b"ERROR request failed",
        b"java.lang.IllegalStateException: boom",
        b"\tat com.shop.Cart.add(Cart.java:42)",
        b"    at com.shop.Main.main(Main.java:7)",
        b"Caused by: java.io.IOException: disk",
        b"\tat com.shop.Disk.read(Disk.java:1)",
        b"\t... 2 more",
        b"\tSuppressed: java.lang.Exception: s",
    ],
    "java's main": [b'Exception in thread "main" java.lang.Error: x', b"\tat a.B.c(B.java:1)"],
    "python": [
        b"Traceback (most recent call last):",
        b'  File "a.py", line 1, in <module>',
        b"    1 / 0",
        b"    ~~^~~",
        b"ZeroDivisionError: division by zero",
        b"",
        b"During handling of the above exception, another exception occurred:",
        b"",
        b"Traceback (most recent call last):",
        b'  File "a.py", line 3, in <module>',
        b"shop.errors.CartError: no",
    ],
    "go": [
        b"panic: runtime error: index out of range [5] with length 3",
        b"",
        b"goroutine 1 [running]:",
        b"main.main()",
        b"\t/app/main.go:8 +0x1d",
        b"main.(*Cart).Add(0xc000012345, {0x1, 0x2})",
        b"\t/app/cart.go:12 +0x2a",
        b"created by main.start in goroutine 1",
        b"\t/app/main.go:20 +0x3c",
        b"exit status 2",
    ],
    "node": [
        b"TypeError: Cannot read properties of undefined (reading 'x')",
        b"    at add (/app/cart.js:3:11)",
        b"    at async main (/app/main.js:9:3)",
    ],
    ".net": [
        b"Unhandled exception. System.InvalidOperationException: boom",
        b" ---> System.IO.IOException: disk",
        b"   at Shop.Disk.Read() in /app/Disk.cs:line 1",
        b"   --- End of inner exception stack trace ---",
        b"   at Shop.Cart.Add() in /app/Cart.cs:line 12",
    ],
    "tabs as rsyslog writes them": [b"ERROR boom", b"#011at com.shop.Cart.add(Cart.java:42)"],
}


def joined(lines, **given):
    return join_lines(list(lines), **({"max_bytes": 10_000, "start": None, "on_joined": lambda: None} | given))


@pytest.mark.parametrize("language", TRACES)
def test_a_stack_trace_is_one_event(language):
    trace = TRACES[language]

    assert [b"INFO before", b"\n".join(trace), b"INFO after"] == joined([b"INFO before", *trace, b"INFO after"])


def test_lines_that_only_look_a_little_like_it_stay_apart():
    lines = [b"one", b"  indented", b"at noon", b"caused by rain", b"Error: alone", b"{", b"goroutine pool"]

    assert lines == joined(lines)


def test_a_pattern_of_ones_own_says_where_events_begin():
    lines = [b"[1] one", b"two", b"", b"[2] three", b"\tat four"]

    assert [b"[1] one\ntwo\n", b"[2] three\n\tat four"] == joined(lines, start=r"\[\d+\]")


def test_a_trace_over_the_bound_begins_anew():
    lines = [b"ERROR boom", *[b"\tat frame %d" % n for n in range(10)]]
    made = joined(lines, max_bytes=60)

    assert all(len(event) <= 60 for event in made)
    assert lines == b"\n".join(made).split(b"\n")


def test_an_event_is_let_go_when_its_wait_is_over_and_never_waits_for_ever():
    emitted: list[tuple[str, bytes]] = []
    joiner: Joiner[str] = Joiner(lambda key, data: emitted.append((key, data)), wait_seconds=1, max_bytes=10_000)
    joiner.push("a", b"boom", 0, 0.0)
    joiner.push("a", b"\tat x", 0, 0.9)
    joiner.expire(1.5)
    assert [] == emitted
    joiner.expire(2.0)
    assert [("a", b"boom\n\tat x")] == emitted

    joiner.push("b", b"boom", 0, 10.0)
    for n in range(30):
        joiner.push("b", b"\tat x", 0, 10.5 + n / 2)
        joiner.expire(10.5 + n / 2)
    assert len(emitted) > 1


def test_senders_are_kept_apart_and_the_oldest_goes_when_there_are_too_many():
    emitted: list[int] = []
    joiner: Joiner[int] = Joiner(lambda key, data: emitted.append(key), wait_seconds=1, max_bytes=10_000)
    for n in range(6000):
        joiner.push(n, b"x", 0, 0.0)

    assert (list(range(1000)), 5000) == (emitted, joiner.held)


@pytest.mark.parametrize(
    ("message", "whose", "text"),
    [
        (b"<13>1 2024-05-01T12:00:00Z web app 7 ID - \tat x", b"web app 7", b"\tat x"),
        (b"<13>1 - web app 7 - -  text of rsyslog", b"web app 7", b"text of rsyslog"),
        (b'<13>1 - web app 7 - [a b="]"][c d="\\""] text', b"web app 7", b"text"),
        (b"<13>May  1 12:00:00 web app[7]: \tat x", b"web app[7]:", b"\tat x"),
        (b"<13>2024-05-01T12:00:00+02:00 web app: text", b"web app:", b"text"),
        (b"<13>May  1 12:00:00 app[7]:", b"app[7]:", b""),
        (b"no head", b"", b"no head"),
    ],
)
def test_a_syslog_message_says_whose_it_is_and_where_its_text_begins(message, whose, text):
    found, start = syslog_head(message)

    assert (whose, text) == (found, message[start:])
