"""How `logsync dev` ends: doors first, then everything acknowledged is settled, then the rest."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from logsync_streams.dev.asking import Parts
from logsync_streams.dev.drain import Accepted, Settled, drained, left
from logsync_streams.dev.keeper import Keeper

_POLL_SECONDS = 0.2
_FOLLOW_SECONDS = 1.0
_COLLECTOR_SECONDS = 15
_WORKER_SECONDS = 20
_BROKER_SECONDS = 5
_SAY_LEFT_SECONDS = 2


class Stopping:
    """Knows what the doors have accepted, over all their restarts, and what is settled of it."""

    def __init__(
        self,
        broker: Keeper,
        collector: Keeper,
        worker: Keeper,
        parts: Parts,
        status_file: Path,
        say: Callable[[str], None],
    ) -> None:
        """status_file: where the collector leaves its last status when it ends; an old one is removed."""
        status_file.unlink(missing_ok=True)
        self._status_file = status_file
        self.probes = 0  # logs that we sent ourselves
        self._broker, self._collector, self._worker = broker, collector, worker
        self._parts, self._say = parts, say
        self._earlier = Accepted()  # of collectors that died
        self._accepted = Accepted()  # of the one that runs
        self._restarts = 0
        self._settled = Settled()

    async def follow(self) -> None:
        """Asks both now and then, so that little is unknown of one that dies or stands still. Until cancelled."""
        while True:
            await asyncio.sleep(_FOLLOW_SECONDS)
            await self.ask()

    async def ask(self) -> None:
        """Asks both how far they are; what does not answer stands as it was."""
        await self._ask_collector()
        await self._ask_worker()

    async def stop(self, gave_up: asyncio.Event) -> bool:
        """Stops the doors, waits for the drain, stops the rest. False when acknowledged logs were lost."""
        await self._ask_collector()
        if not self._collector.gone:
            self._say("stopping: the doors close")
        await self._collector.stop(_COLLECTOR_SECONDS)
        self._read_final_status()
        settled = await self._drain(gave_up)
        # No patience after giving up: the operator has asked twice. Nor without a broker: the worker would wait for it.
        hurried = gave_up.is_set() or self._broker.gone
        in_time = await self._worker.stop(0.5 if hurried else _WORKER_SECONDS)
        await self._broker.stop(_BROKER_SECONDS)
        if settled and not in_time:
            self._say("the worker had to be killed, after everything accepted was in the store")
        if settled:
            self._say("stopped: everything accepted is in the store")
        return settled

    async def _drain(self, gave_up: asyncio.Event) -> bool:
        accepted = self._earlier.joined(self._accepted)
        if accepted.events <= self.probes and self._settled.received <= self.probes and not await self._ask_worker():
            return True  # stopped while starting: there is nothing but our own probe
        loop = asyncio.get_running_loop()
        say_at = loop.time() + _SAY_LEFT_SECONDS
        while True:
            before = self._settled
            # Twice the same answer: what other Kafka producers sent a moment ago has been fetched, too.
            if await self._ask_worker() and drained(accepted, self._settled) and before == self._settled:
                return True
            remaining = left(accepted, self._settled)
            gone = next((keeper.child.name for keeper in (self._broker, self._worker) if keeper.gone), None)
            if gone is not None or gave_up.is_set():
                self._say(f"{f'the {gone} is gone' if gone else 'given up'}: {remaining} accepted logs are lost")
                return False
            if loop.time() >= say_at:
                say_at += _SAY_LEFT_SECONDS
                self._say(f"draining: {remaining} accepted logs are on their way (Ctrl-C again loses them)")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gave_up.wait(), _POLL_SECONDS)

    async def _ask_collector(self) -> None:
        status = await self._parts.json(f"{self._parts.collector}/status")
        if status is not None:
            self._note(status)

    def _read_final_status(self) -> None:
        # What the collector accepted between our last question and its end. A file that is missing or of an earlier
        # collector tells nothing new: the last answer stands.
        try:
            self._note(json.loads(self._status_file.read_bytes()))
        except (OSError, ValueError):
            return

    def _note(self, status: dict[str, Any]) -> None:
        if self._collector.restarts != self._restarts:
            self._earlier = self._earlier.joined(self._accepted)
            self._restarts = self._collector.restarts
        self._accepted = Accepted.from_status(status)

    async def _ask_worker(self) -> bool:
        status = await self._parts.json(f"{self._parts.worker}/status")
        if status is None:
            return False
        self._settled = Settled.from_status(status)
        return True
