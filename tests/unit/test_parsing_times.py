import pytest

from logsync_streams.parsing.times import epoch_ms


@pytest.mark.parametrize(
    "value",
    [
        "2024-05-01T12:34:56.789Z",
        "2024-05-01T12:34:56.789123456Z",
        "2024-05-01 12:34:56,789",
        "2024-05-01T14:34:56.789+02:00",
        "2024-05-01 14:34:56.789 +0200",
        " 2024-05-01T12:34:56.789Z ",
        1_714_566_896.789,
        1_714_566_896_789,
        1_714_566_896_789_999,
        1_714_566_896_789_999_999,
        "1714566896789",
        "1714566896.789",
    ],
)
def test_the_ways_to_write_a_time(value):
    assert 1_714_566_896_789 == epoch_ms(value)


@pytest.mark.parametrize(
    "value",
    ["", "now", "2024-13-01T00:00:00Z", "9" * 100, "0001-01-01T00:00:00+14:00", 1e20, -9e13, float("inf"), float("nan"),
     True, None, [], {}, "1e9", "٣" * 10],
)  # fmt: skip
def test_what_is_no_time_is_none(value):
    assert epoch_ms(value) is None


def test_a_leap_second_is_the_second_before():
    assert epoch_ms("2016-12-31T23:59:59Z") == epoch_ms("2016-12-31T23:59:60Z")


def test_years_before_1970_are_negative():
    assert -1 == epoch_ms("1969-12-31T23:59:59.999Z")
