"""`logsync retention run` and `serve`: one run, and one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from prometheus_client import start_http_server

from logsync_streams import metrics
from logsync_streams.cli.confirm import confirmed
from logsync_streams.cli.printing import escape
from logsync_streams.cli.progress import watching
from logsync_streams.cli.retention import DONE, DUE, Say, in_a_sentence, opened, plan, receipt_lines
from logsync_streams.errors import ConfigurationError, LogSyncError
from logsync_streams.settings import Settings
from retention.lease import LeaseLost, LeaseTaken
from retention.run import Agree, Guard, Receipt, Stopped, Watch, agree, run

_TRY_AGAIN_SECONDS = 300.0  # after a run that could not be made: Kafka or the store was away

log = logging.getLogger(__name__)


def run_once(settings: Settings, *, allow_large_drop: bool, dry_run: bool, yes: bool, say: Say) -> int:
    """Archive and drop what is due; exit code DUE when something could not be done, or was not wanted. yes: drop
    without asking at a terminal.
    """
    if dry_run:
        return min(plan(settings, as_json=False, say=say), DUE)

    async def act() -> int:
        with watching() as watch:

            async def ask(documents: int) -> bool:
                watch.pause()
                question = f"drop {documents} documents from the store for ever"
                return await asyncio.to_thread(confirmed, question, documents, yes=yes)

            # Without a terminal it is a job that somebody wants done: the guard looks after what is dropped.
            asking = ask if sys.stdin.isatty() else agree
            receipt = await _run(settings, _told_to_stop(), allow_large_drop, asking, watch)
        for line in receipt_lines(receipt):
            say(escape(line))
        return DUE if receipt.problems or receipt.unfinished else DONE

    return in_a_sentence(act)


def serve(settings: Settings) -> int:
    """Run on a schedule until it is told to stop; metrics on `retention.metrics_port`, what was done as log lines."""
    retention = settings.retention

    async def act() -> int:
        stop = _told_to_stop()
        try:
            server, thread = start_http_server(
                retention.metrics_port, retention.metrics_host, registry=metrics.REGISTRY
            )
        except OSError as error:
            where = f"{retention.metrics_host}:{retention.metrics_port}"
            raise ConfigurationError(
                [
                    f"LOGSYNC_RETENTION__METRICS_PORT: {where} cannot be listened on ({error.strerror}): "
                    "stop what uses it, or choose another port"
                ]
            ) from error
        try:
            await _serve(partial(_run, settings, stop), stop, retention.interval_hours * 3600, log.info)
        finally:
            server.shutdown()
            thread.join()
        return DONE

    return in_a_sentence(act)


async def _serve(one_run: Callable[[], Awaitable[Receipt]], stop: asyncio.Event, interval: float, say: Say) -> None:
    """Raises ConfigurationError when the first run that begins cannot be made."""
    begun = False
    while not stop.is_set():
        pause = interval
        try:
            receipt = await one_run()
        except LeaseTaken as error:  # no problem of ours: it does our work, or has died and is waited for
            pause = min(pause, error.retry_after_seconds)
            say(escape(f"another process is at work: {error}"))
        except Stopped as error:
            say(escape(str(error)))
        except LogSyncError as error:
            if isinstance(error, ConfigurationError) and not begun:
                raise
            metrics.retention_problems.set(1)
            pause = min(pause, error.retry_after_seconds if isinstance(error, LeaseLost) else _TRY_AGAIN_SECONDS)
            log.error("%s", escape(str(error)))  # a service: what it says are log lines
        else:
            begun = True
            for line in receipt_lines(receipt):
                say(escape(line))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)


async def _run(
    settings: Settings,
    stop: asyncio.Event,
    allow_large_drop: bool = False,
    agreed: Agree = agree,
    watch: Watch | None = None,
) -> Receipt:
    retention = settings.retention
    guard = Guard(retention.max_drop_factor, retention.drop_guard_documents, allow_large_drop)
    async with opened(settings) as one, one.lease() as lease:
        return await run(one.archiver, one.state, lease, guard, one.holds, stop.is_set, agreed, watch)


def _told_to_stop() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C; a run ends at the next safe point then."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
