"""A whole collector in a thread, on uvloop as in production, over the in-memory publisher."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import uvloop

from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.collector.server import serve
from logsync_streams.events import Fields
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import CollectorSettings, Settings

_FREE_PORTS: dict[str, Any] = {
    "http_port": 0,
    "syslog_udp_port": 0,
    "syslog_tcp_port": 0,
    "syslog_tls_port": 0,
    "forward_port": 0,
    "stop_timeout_seconds": 5,
}


class RunningCollector:
    """`with RunningCollector(…) as collector`: its doors' ports, and what came in through them."""

    def __init__(self, **settings: Any) -> None:
        self.settings = CollectorSettings(**(_FREE_PORTS | settings))
        self.publisher = MemoryPublisher(lambda: int(time.time() * 1000))
        self._addresses: dict[str, str] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.exit_code: int | None = None

    def __enter__(self) -> RunningCollector:
        self._thread.start()
        assert self._ready.wait(30), "the collector did not start"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as SIGTERM does."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the collector did not stop"

    def port(self, door: str) -> int:
        """Of http, syslog_udp, syslog_tcp, syslog_tls, forward."""
        return int(self._addresses[door].rpartition(":")[2])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port('http')}"

    def received(self, number: int, source: str = "", within_seconds: float = 30) -> list[bytes]:
        """The events of a source (all when "") once there are so many; fails with what is there when the time is up."""
        deadline = time.monotonic() + within_seconds
        while len(found := self.events(source)) < number:
            assert time.monotonic() < deadline, f"{number} events were expected, these came: {found}"
            time.sleep(0.01)
        return found

    def events(self, source: str = "") -> list[bytes]:
        return [
            data
            for envelope in list(self.publisher.envelopes)
            if envelope.source.startswith(source)
            for data in envelope.events
        ]

    def fields(self, source: str = "") -> list[Fields]:
        """What `process` makes of the events."""
        return [
            PARSERS[envelope.format](data, envelope.received_at)
            for envelope in list(self.publisher.envelopes)
            if envelope.source.startswith(source)
            for data in envelope.events
        ]

    def on_loop(self, call: Callable[[], Any]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            self.exit_code = runner.run(self._serve())

    async def _serve(self) -> int:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

        def ready(addresses: dict[str, str]) -> None:
            self._addresses = addresses
            self._ready.set()

        return await serve(Settings(collector=self.settings), ready=ready, stop=self._stop, publisher=self.publisher)
