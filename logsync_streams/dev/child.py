"""One part of `logsync dev` as a child process: started, watched, its output kept, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from logsync_streams.dev import leash

_LOG_FILE_BYTES = 5 * 1024 * 1024  # one older file of the same size is kept beside it
_LAST_LINES = 15
_LINE_BYTES = 1024 * 1024  # a longer line is cut into pieces


class Child:
    """A child process in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor.

    name: for people and for the log file's name. command: absolute path first. log_folder: where `<name>.log` goes.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log_folder: Path) -> None:
        self.name = name
        self.log_file = log_folder / f"{name}.log"
        self.last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._command, self._environment = command, environment
        self._process: asyncio.subprocess.Process | None = None
        self._output: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process (again). OSError when the command cannot be run."""
        self.last_lines.clear()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            leash.__file__,
            str(os.getpid()),
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=_LINE_BYTES,
        )
        self._output = asyncio.create_task(self._keep_output(self._process))

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def wait(self) -> int:
        """The exit code, once the process has ended and its last output is kept; negative = ended by that signal."""
        if self._process is None or self._output is None:
            raise RuntimeError(f"{self.name} was not started")
        code = await self._process.wait()
        # A grandchild could hold the pipe open for ever.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._output), 1)
        return code

    async def stop(self, timeout_seconds: float) -> int | None:
        """SIGTERM, and SIGKILL when it has not ended after the timeout. The exit code; None if it was not started."""
        if self._process is None:
            return None
        if self.running:
            self._send(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), timeout_seconds)
            except TimeoutError:
                self.kill()
        return await self.wait()

    def kill(self) -> None:
        """SIGKILL to the process and to what it started."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def _keep_output(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise RuntimeError("the output is not a pipe")
        handler = RotatingFileHandler(
            self.log_file, maxBytes=_LOG_FILE_BYTES, backupCount=1, encoding="utf-8", errors="backslashreplace"
        )
        try:
            while True:
                try:
                    line = await process.stdout.readline()
                except ValueError:  # longer than the limit: the reader has dropped what it held
                    continue
                if not line:
                    return
                text = line.decode("utf-8", "backslashreplace").rstrip("\n")
                self.last_lines.append(text)
                handler.emit(logging.LogRecord(self.name, logging.INFO, "", 0, text, None, None))
        finally:
            handler.close()
