"""Bodies of any size: what is large is looked at beside the event loop, and only so much of it at a time."""

import asyncio
import gzip
import threading

import pytest
import zstandard

from logsync_streams.collector.aside import LARGE_BYTES
from logsync_streams.collector.bodies import Bodies
from logsync_streams.collector.limits import Budget
from logsync_streams.errors import RejectInput
from logsync_streams.settings import CollectorSettings

LARGE = b"x" * (LARGE_BYTES + 1)


@pytest.fixture
def bodies():
    return Bodies(CollectorSettings(max_body_bytes=LARGE_BYTES * 10), Budget(10_000_000))


@pytest.mark.parametrize(
    ("body", "encoding", "beside"),
    [
        (b"x" * LARGE_BYTES, "", False),
        (LARGE, "", True),
        (LARGE, "identity", True),
        (gzip.compress(b"x" * 1000), "gzip", False),
        (gzip.compress(LARGE), "gzip", True),  # a few hundred bytes, as they come
        (zstandard.compress(LARGE), "zstd", True),
    ],
)
async def test_what_is_large_when_it_is_unpacked_is_looked_at_beside_the_loop(bodies, body, encoding, beside):
    size, thread = await bodies.unpacked(body, encoding, lambda plain: (len(plain), threading.current_thread()))

    assert beside == (thread is not threading.main_thread())
    assert size == (len(body) if encoding in ("", "identity") else len(LARGE) if beside else 1000)


async def test_no_more_bodies_are_taken_apart_at_once_than_there_are_threads(bodies):
    inside, most, lock = 0, 0, threading.Lock()
    two_inside = threading.Event()

    def work(plain):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == 2:
                two_inside.set()
        assert two_inside.wait(30)
        with lock:
            inside -= 1

    await asyncio.gather(*(bodies.unpacked(LARGE, "", work) for _ in range(10)))

    assert 2 == most


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_a_small_body_that_unpacks_to_more_than_the_limit_is_refused(bodies, encoding):
    bomb = LARGE * 100
    with pytest.raises(RejectInput) as refused:
        await bodies.unpacked(gzip.compress(bomb) if encoding == "gzip" else zstandard.compress(bomb), encoding, len)

    assert 413 == refused.value.status
