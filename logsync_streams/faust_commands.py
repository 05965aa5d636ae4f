"""What we change of Faust's command line: `agents` and `tables` list all roles, `worker` checks before it starts."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn

import faust
import faust.cli.agents
import faust.cli.tables
from faust.worker import Worker

from logsync_streams.errors import LogSyncError

log = logging.getLogger(__name__)

_apps: list[faust.App] = []


def show_all(apps: Iterable[faust.App]) -> None:
    """The apps whose agents and tables the commands list; Faust itself knows only the exported one."""
    _apps[:] = apps


class agents(faust.cli.agents.agents):  # the class's name is the command's
    """List agents."""

    def agents(self, *, local: bool = False) -> list[Any]:
        return [agent for app in _apps for agent in app.agents.values() if local or self._maybe_topic(agent)]


class tables(faust.cli.tables.tables):
    """List available tables."""

    async def run(self) -> None:
        rows = [(table.name, table.help) for app in _apps for table in app.tables.values()]
        self.say(self.tabulate(rows, title=self.title, headers=["name", "help"]))


# Containers made and not yet gone, before the collector looks at them. A batch of logs is tens of thousands of objects
# without a cycle among them that are gone with the batch: at Python's 700 it looked at each several times.
_YOUNG_OBJECTS = 50_000


def _collect_less_garbage() -> None:
    """What is there at start stays until the end, and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)


class CheckedWorker(Worker):
    """Faust's worker, which first checks what it needs: a wrong topic is a sentence, not a traceback."""

    app: Any
    failed_code: ClassVar[int] = 2
    crashed_code: ClassVar[int] = 1

    def execute_from_commandline(self) -> NoReturn:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self.app.before_start())
        except LogSyncError as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(self.failed_code) from error
        finally:
            loop.close()
        _collect_less_garbage()
        try:
            super().execute_from_commandline()
        except SystemExit as ended:
            if not ended.code:
                raise
            self._end()
        except BaseException as error:  # an agent that was cancelled by another's crash ends so, too
            log.critical("the worker ends: %r", error, exc_info=error)
            self._end()

    def _end(self) -> NoReturn:
        """End with crashed_code, whatever still runs."""
        try:
            logging.shutdown()
        finally:
            # After a crash Faust's consumer threads may still run, and the interpreter would wait for them for ever:
            # a process that has crashed must be seen to have ended, so that what restarts it does.
            os._exit(self.crashed_code)

    def on_setup_root_logger(self, logger: logging.Logger, level: int) -> None:
        # Our settings decide the form and the level of log lines in every process alike; Faust's default is to be
        # silent below WARN and to draw a spinner into the log.
        self.spinner = None
        self.app.configure_logs()
