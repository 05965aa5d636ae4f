"""`logsync dev`: the whole system on one machine, brought up in order, watched, drained and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from logsync_streams import kafka_topics
from logsync_streams.dev import broker
from logsync_streams.dev.asking import Parts
from logsync_streams.dev.child import Child
from logsync_streams.dev.keeper import Keeper
from logsync_streams.dev.stopping import Stopping
from logsync_streams.dev.traffic import Traffic
from logsync_streams.errors import LogSyncError
from logsync_streams.settings import Settings

_BROKER_SECONDS = 20
_READY_SECONDS = 150
_REMINDER_SECONDS = 20

_T = TypeVar("_T")


class NotReady(LogSyncError):
    """Stop everything and say why: a part did not come up."""


class Supervisor:
    """Broker, collector and worker as children.

    environment: of the children (dev/environment.py); settings: the same, read. rate: sample logs a second, 0 = none.
    say: prints a line for people.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], *, rate: float, say: Callable[[str], None]
    ) -> None:
        self._settings, self._rate, self._say = settings, rate, say
        host, port = settings.kafka.bootstrap[0].rsplit(":", 1)
        self._broker_address = (host, int(port))
        folder = Path(settings.data_dir) / "log"

        def keeper(name: str, command: list[str], *, restart: bool = True) -> Keeper:
            child = Child(name, command, environment, folder)
            return Keeper(child, say=say, give_up=self._fail, restart=restart)

        python = sys.executable
        self._broker = keeper("broker", broker.command(int(port)), restart=False)
        self._collector = keeper("collector", [python, "-m", "logsync_streams.cli", "collect"])
        self._worker = keeper("worker", [python, "-m", "faust", "-A", "logsync_streams", "worker"])
        self._over: asyncio.Future[str | None]  # None: asked to stop; a text: why it cannot go on

    async def run(self) -> int:
        """Runs until SIGINT or SIGTERM, then drains and stops. The exit code."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        gave_up = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, gave_up)
        settings = self._settings
        parts = Parts(
            collector=_url(settings.collector.http_host, settings.collector.http_port),
            worker=_url(settings.web.host, settings.web.port),
            query=_url(settings.query.host, settings.query.port),
        )
        status_file = Path(settings.data_dir) / "collector-status.json"
        stopping = Stopping(self._broker, self._collector, self._worker, parts, status_file, self._say)
        following = asyncio.create_task(stopping.follow())
        running = asyncio.create_task(self._run(parts, stopping))
        running.add_done_callback(self._on_run_ended)
        try:
            failure = await self._over
            running.cancel()  # and the sample traffic with it
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([running])
            if failure is not None:
                self._say(failure)
            drained = await stopping.stop(gave_up)
            return 0 if failure is None and drained else 1
        finally:
            for keeper in (self._worker, self._collector, self._broker):
                keeper.kill()
            following.cancel()
            await parts.close()

    def _on_signal(self, gave_up: asyncio.Event) -> None:
        if self._over.done():
            gave_up.set()
        else:
            self._over.set_result(None)

    def _fail(self, sentence: str) -> None:
        if not self._over.done():
            self._over.set_result(sentence)
        else:
            self._say(sentence)

    def _on_run_ended(self, running: asyncio.Task[None]) -> None:
        if running.cancelled():
            return
        error = running.exception()
        if isinstance(error, LogSyncError | OSError):
            self._fail(str(error))
        elif error is not None and not self._over.done():
            self._over.set_exception(error)

    async def _run(self, parts: Parts, stopping: Stopping) -> None:
        settings = self._settings
        await self._broker.start()
        await self._in_time(self._broker_listens(), _BROKER_SECONDS, "the embedded broker")
        self._line("broker", f"{settings.kafka.bootstrap[0]} (embedded: memory only, it forgets when it stops)")
        created = await kafka_topics.create(settings)
        self._line("topics", ", ".join(created) if created else "as they should be")
        # The worker takes longest, and the topics are there: a topic missing at its start is never consumed.
        await self._worker.start()
        await self._collector.start()
        collector = settings.collector
        await self._in_time(parts.until_up(f"{parts.collector}/readyz"), _READY_SECONDS, "the collector")
        syslog = f"{collector.syslog_host}:{collector.syslog_udp_port}"
        self._line("collector", f"HTTP {collector.http_host}:{collector.http_port}, syslog UDP {syslog}")
        await self._in_time(parts.until_up(f"{parts.worker}/readyz"), _READY_SECONDS, "the worker")
        self._line("worker", f"process, index and count; metrics at {parts.worker}/metrics")
        await self._in_time(parts.until_up(f"{parts.query}/readyz"), _READY_SECONDS, "the query API")
        self._line("query", f"API and page at {parts.query}/")
        self._line("store", f"on disk in {Path(settings.data_dir)}")
        stopping.probes = 1
        word = await self._in_time(parts.send_probe(), _READY_SECONDS, "the HTTP door")
        await self._in_time(parts.until_found(word), _READY_SECONDS, "the probe log (the worker joins its groups)")
        await stopping.ask()
        self._say(_ready(parts, self._settings, self._rate))
        if self._rate > 0:
            address = (collector.syslog_host, collector.syslog_udp_port)
            await Traffic(f"{parts.collector}/api/logs", address, rate=self._rate).run()

    def _line(self, part: str, text: str) -> None:
        self._say(f"  {part:<10} {text}")

    async def _in_time(self, what: Coroutine[Any, Any, _T], seconds: float, name: str) -> _T:
        """Awaits a part, reminding people of what is waited for. Raises NotReady after the given seconds."""
        task = asyncio.ensure_future(what)
        waited = 0.0
        try:
            while True:
                done, _ = await asyncio.wait([task], timeout=min(_REMINDER_SECONDS, seconds - waited))
                if done:
                    return task.result()
                waited += _REMINDER_SECONDS
                if waited >= seconds:
                    folder = Path(self._settings.data_dir) / "log"
                    raise NotReady(f"{name} did not come up within {seconds} s: see the parts' own words in {folder}")
                self._say(f"  …          waiting for {name}")
        finally:
            task.cancel()

    async def _broker_listens(self) -> None:
        while True:
            try:
                _, writer = await asyncio.open_connection(*self._broker_address)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _ready(parts: Parts, settings: Settings, rate: float) -> str:
    collector, web = settings.collector, parts.collector
    traffic = f"{rate:g} sample logs a second" if rate > 0 else "no sample traffic"
    return f"""
ready ({traffic}; Ctrl-C drains and stops)

  page       {parts.query}/
  search     curl '{parts.query}/api/logs/search?q=level:error'
  send       curl -d '{{"service":"auth-service","level":"ERROR","message":"boom"}}' {web}/api/logs
             logger --udp --server {collector.syslog_host} --port {collector.syslog_udp_port} 'hello from syslog'
             any Kafka producer: a JSON line to topic {settings.kafka.raw_topics[0]} on {settings.kafka.bootstrap[0]}
"""
