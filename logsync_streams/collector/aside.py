"""Work on what is large, done beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# What is larger is unpacked and looked at beside the event loop, else one sender's would hold up all others'.
LARGE_BYTES = 64 * 1024


class Aside:
    """A few threads. No more results than threads are there at once: what a body unpacks to is many times what was
    received, and is counted by nobody until the publisher has taken it.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._places = asyncio.Semaphore(threads)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises. A caller that hands the result on before it waits for anything keeps the
        number of results within the bound.
        """
        async with self._places:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def run_then(self, work: Callable[[], T], then: Callable[[T], Awaitable[R]]) -> R:
        """What `then` returns for what `work` returned; the result keeps its place until then."""
        async with self._places:
            return await then(await asyncio.get_running_loop().run_in_executor(self._pool, work))
