"""`logsync query`: the API and the page in a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import structlog
import uvicorn

from logsync_streams.errors import ConfigurationError
from logsync_streams.query.app import create_app
from logsync_streams.query.retention import ViewRetention
from logsync_streams.query.tail import Hub
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.factory import open_reader

# Answers under way at a stop get this long; a search is bounded by its own timeout.
STOP_TIMEOUT_SECONDS = 5

# Opens what knows the error rates (a fold of `logs-counts`) for the time that the server runs.
OpenRates = Callable[[Settings], AbstractAsyncContextManager[Callable[[], dict[str, object]]]]
# Feeds live tail with what passes through `logs-enriched`, for the same time.
FeedTail = Callable[[Settings, Hub], AbstractAsyncContextManager[None]]

log = structlog.get_logger()


def run(
    settings: Settings,
    *,
    open_rates: OpenRates | None = None,
    feed_tail: FeedTail | None = None,
    retention: ViewRetention | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean stop. Without open_rates `/api/error-rates` answers 503, without
    feed_tail `/api/logs/tail` does, and without retention `/api/retention`.

    Raises ConfigurationError when the address cannot be listened on or the store's settings are wrong.
    """
    with _listen(settings.query) as listener:
        asyncio.run(_serve(settings, listener, open_rates, feed_tail, retention))
    return 0


async def _serve(
    settings: Settings,
    listener: socket.socket,
    open_rates: OpenRates | None,
    feed_tail: FeedTail | None,
    retention: ViewRetention | None,
) -> None:
    async with AsyncExitStack() as stack:
        reader = open_reader(settings)
        stack.push_async_callback(reader.close)
        rates = None if open_rates is None else await stack.enter_async_context(open_rates(settings))
        hub = None if feed_tail is None else Hub(settings.query.max_tail_waiting_logs)
        if hub is not None and feed_tail is not None:
            await stack.enter_async_context(feed_tail(settings, hub))
        server = _Server(
            uvicorn.Config(
                create_app(reader, settings, rates=rates, hub=hub, retention=retention),
                log_config=None,  # our own logs are structlog's
                log_level="warning",  # and say when it starts and stops
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=STOP_TIMEOUT_SECONDS,
            ),
            hub,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        host, port = listener.getsockname()[:2]
        log.info("query API and page", url=f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        await server.serve(sockets=[listener])
        log.info("query API stopped")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, hub: Hub | None) -> None:
        super().__init__(config)
        self._hub = hub

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again after a clean stop, so that the process would not end with 0.
        yield

    def stop(self) -> None:
        self.force_exit = self.should_exit  # the second signal does not wait
        self.should_exit = True
        if self._hub is not None:
            self._hub.close()  # else the server would wait for its tails


def _listen(query: QueryHttpSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in query.host else socket.AF_INET
    try:
        listener = socket.create_server((query.host, query.port), family=family, backlog=2048)
        # asyncio sets this only for sockets that name their protocol: without it each answer waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigurationError(
            [
                f"LOGSYNC_QUERY__PORT: {query.host}:{query.port} cannot be listened on ({reason}): stop what uses it, "
                "or choose another port"
            ]
        ) from error
