import pytest

from logsync_streams.collector.syslog_framing import SyslogFramer


def framed(stream, max_bytes=64):
    framer = SyslogFramer(max_bytes)
    return framer.feed(stream) + framer.end(), framer.truncated


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (b"<13>one\n<13>two\r\n<13>three", [b"<13>one", b"<13>two\r", b"<13>three"]),
        (b"<13>one\0<13>two\0", [b"<13>one", b"<13>two"]),
        (b"7 <13>one11 <13>two\nand", [b"<13>one", b"<13>two\nand"]),
        (b"7 <13>one<13>two\n7 <13>six", [b"<13>one", b"<13>two", b"<13>six"]),
        (b"7 <13>one6 no pri", [b"<13>one", b"no pri"]),
        (b"15 minutes left\n2026-11-24 a time\n12345678 <too many digits\n0 zero\n", [
            b"15 minutes left", b"2026-11-24 a time", b"12345678 <too many digits", b"0 zero"]),
        (b"\n\n \n\0", []),
        (b"9 <13>cut", [b"<13>cut"]),
        (b"", []),
    ],
)  # fmt: skip
def test_each_frame_has_its_own_framing(stream, frames):
    assert frames == framed(stream)[0]


@pytest.mark.parametrize(("before", "after"), [(b"104 ", b""), (b"", b"\n")])
def test_a_frame_over_the_limit_is_cut_and_counted_and_the_next_is_whole(before, after):
    stream = before + b"<13>" + b"x" * 100 + after + b"<13>next\n"

    assert ([b"<13>" + b"x" * 60, b"<13>next"], 1) == framed(stream)


def test_what_is_held_of_an_endless_line_is_bounded():
    framer = SyslogFramer(1000)
    for _ in range(100):
        framer.feed(b"x" * 500)
        assert framer.held_bytes <= 1000

    assert framer.in_frame
    assert [b"<13>after"] == framer.feed(b"\n<13>after\n")
    assert not framer.in_frame
