"""Reading a part: what it takes, and what it finds out."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
import zstandard

from retention.archive import ArchiveDamaged, Part, part_lines
from retention.objects import MemoryObjects

LINES = 50_000
LINE = b'{"message":"' + b"x" * 600 + b'"}\n'


@pytest.fixture(scope="module")
def content():
    """30 MB of lines that are all the same: a few kB."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return b"".join(compressor.compress(LINE * 1000) for _ in range(LINES // 1000)) + compressor.flush()


def read(there, content):
    part = Part("k", hashlib.sha256(content).hexdigest(), len(content), LINES, 0, "", "", 0, 0)
    return sum(1 for _ in part_lines(MemoryObjects({"k": there}), part))


def test_a_part_is_read_in_little_memory_however_well_it_was_compressed(content):
    tracemalloc.start()
    try:
        number = read(content, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert LINES == number
    assert peak < 4 * 1024 * 1024 < LINES * len(LINE)


@pytest.mark.parametrize(
    "there",
    [
        lambda content: content[:-1],
        lambda content: content[:100],
        lambda content: b"",
        lambda content: content + b"x",
        lambda content: content * 2,
        lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:],
    ],
    ids=["without its last byte", "cut early", "empty", "with a byte more", "twice", "one bit another"],
)
def test_a_part_that_is_not_what_was_put_is_damaged_by_name(there, content):
    with pytest.raises(ArchiveDamaged, match=r"^k: "):
        read(there(content), content)
