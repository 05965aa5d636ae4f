"""How much of the store one client may use at a time, and what happens when it goes away: its search is cancelled."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from logsync_streams.errors import Unavailable

T = TypeVar("T")


class TooMany(Exception):
    """Answer 429: this client, or all together, have as much under way as they may."""


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Slots:
    """Counts what each client has under way. most: of one client; in_all: of all together."""

    def __init__(self, most: int, in_all: int | None = None) -> None:
        self._most, self._in_all = most, in_all
        self._taken: Counter[str] = Counter()

    def take(self, client: str, what: str) -> Callable[[], None]:
        """Take a slot; the answer gives it back, once. Raises TooMany."""
        if self._taken[client] >= self._most:
            raise TooMany(f"{self._most} {what} of your address are under way already")
        if self._in_all is not None and self._taken.total() >= self._in_all:
            raise TooMany(f"{self._in_all} {what} are under way already")
        self._taken[client] += 1
        held = [client]

        def give_back() -> None:
            while held:
                self._taken[held.pop()] -= 1
                self._taken += Counter()  # drops those at zero

        return give_back


class Held(StreamingResponse):
    """A streamed answer, at whose end, whatever it is, something that it holds is given back."""

    def __init__(self, give_back: Callable[[], None], content: AsyncIterator[bytes], **options: Any) -> None:
        super().__init__(content, **options)
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()


def client_of(request: Request) -> str:
    """Whose request it is: the address it came from."""
    return request.client.host if request.client else ""


async def while_there(request: Request, seconds: float, answer: Coroutine[Any, Any, T]) -> T:
    """The answer, unless the client goes away first: then what makes it is cancelled.

    Raises ClientGone; Unavailable after so many seconds; what `answer` raises.
    """
    asking = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        done, _ = await asyncio.wait({asking, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if asking in done:
            return asking.result()
        if leaving in done:
            raise ClientGone
        raise Unavailable(
            f"the store did not answer within {seconds:g} s; a shorter time range is found faster",
            retry_after_seconds=5,
        )
    finally:
        for task in (asking, leaving):
            task.cancel()
        # Wait until the store's side has let go, so that nothing of it is left running behind the answer.
        await asyncio.gather(asking, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
