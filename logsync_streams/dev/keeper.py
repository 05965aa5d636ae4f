"""Keeps one part of `logsync dev` running: started again after an unexpected end, given up when that is no use."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

from logsync_streams.dev.child import Child

_WRONG_CONFIGURATION = 2  # exit code of our commands: starting again would say the same
_ATTEMPTS = 5  # ends in a row, each soon after its start
_SOON_SECONDS = 20
_LONGEST_PAUSE_SECONDS = 8


class Keeper:
    """Runs a child until it is stopped through here.

    say: prints a line for people. give_up: called once, with a sentence, when the child is not started again.
    restart: False for a part that the others cannot outlive.
    """

    def __init__(
        self, child: Child, *, say: Callable[[str], None], give_up: Callable[[str], None], restart: bool = True
    ) -> None:
        self.child = child
        self.restarts = 0
        self._say, self._give_up, self._restart = say, give_up, restart
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the child. OSError when its command cannot be run."""
        await self.child.start()
        self._task = asyncio.create_task(self._keep())

    @property
    def gone(self) -> bool:
        """True when the child has ended and will not be started again."""
        return self._task is None or self._task.done()

    async def stop(self, timeout_seconds: float) -> bool:
        """Stop the child for good. False when it had to be killed."""
        self._stopping.set()
        code = await self.child.stop(timeout_seconds)
        if self._task is not None:
            await self._task
        return code != -signal.SIGKILL

    def kill(self) -> None:
        """End the child for good, at once."""
        self._stopping.set()
        self.child.kill()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        soon_ended, started = 0, loop.time()
        while True:
            code = await self.child.wait()
            if self._stopping.is_set():
                return
            soon_ended = soon_ended + 1 if loop.time() - started < _SOON_SECONDS else 1
            ended = f"{self.child.name} ended unexpectedly ({_how(code)})"
            if not self._restart or code == _WRONG_CONFIGURATION or soon_ended >= _ATTEMPTS:
                self._give_up(self._with_last_lines(ended))
                return
            pause = min(_LONGEST_PAUSE_SECONDS, 2 ** (soon_ended - 1))
            self._say(f"{ended}; starting it again in {pause} s (its own words: {self.child.log_file})")
            self.restarts += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            started = loop.time()
            await self.child.start()

    def _with_last_lines(self, sentence: str) -> str:
        lines = [f"    {line}" for line in self.child.last_lines]
        return "\n".join([f"{sentence}; its last words ({self.child.log_file}):", *lines]) if lines else sentence


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
