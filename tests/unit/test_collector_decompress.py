import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard

from logsync_streams.collector.decompress import decompress
from logsync_streams.errors import RejectInput

BODY = b'{"message": "boom"}' * 50
LIMIT = 1024 * 1024


def raw_deflate(data):
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
    "": bytes,
}
COMPRESSED = ["gzip", "deflate", "zstd"]


@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_comes_out_as_it_was_packed(encoding):
    assert BODY == decompress(PACKERS[encoding](BODY), encoding, LIMIT)


def test_deflate_without_the_zlib_head_is_read():
    assert BODY == decompress(raw_deflate(BODY), "deflate", LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_several_members_are_one_body(encoding):
    pack = PACKERS[encoding]

    assert b"onetwo" == decompress(pack(b"one") + pack(b"two"), encoding, LIMIT)


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_bomb_is_refused_without_being_unpacked(encoding):
    bomb = PACKERS[encoding](bytes(100 * LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(RejectInput) as refused:
            decompress(bomb, encoding, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (413, LIMIT) == (refused.value.status, refused.value.extra["limit_bytes"])
    assert 12 * LIMIT > peak


@pytest.mark.parametrize("encoding", COMPRESSED)
def test_a_body_of_just_the_limit_is_taken(encoding):
    assert LIMIT == len(decompress(PACKERS[encoding](bytes(LIMIT)), encoding, LIMIT))


@pytest.mark.parametrize("encoding", COMPRESSED)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: b"\x01" + data, lambda data: b"", lambda data: data[:2]]
)
def test_a_damaged_body_is_refused(encoding, damage):
    with pytest.raises(RejectInput) as refused:
        decompress(damage(PACKERS[encoding](BODY)), encoding, LIMIT)

    assert 400 == refused.value.status


def test_an_unknown_encoding_is_refused_by_name():
    with pytest.raises(RejectInput, match="gzip, deflate, zstd") as refused:
        decompress(BODY, "br", LIMIT)

    assert 415 == refused.value.status


def test_many_members_and_zeros_between_them_are_one_body():
    # More than a slice of the input, so that members begin and end anywhere in one.
    members = [gzip.compress(b"%d," % n) for n in range(2000)]
    padded = gzip.compress(b"a") + b"\0" * 20_000 + gzip.compress(b"b") + b"\0" * 9000

    assert b"".join(b"%d," % n for n in range(2000)) == decompress(b"".join(members), "gzip", 100_000)
    assert b"ab" == decompress(padded, "gzip", 10)
