"""What a worker does for the commands that change its embedded store: they go through it, the only writer."""

from __future__ import annotations

import faust

from logsync_streams.storage.embedded_commands import CommandSocket


class StoreCommands(faust.Service):
    """Takes commands while the worker runs; is stopped before the store is closed."""

    def __init__(self, commands: CommandSocket) -> None:
        super().__init__()
        self._commands = commands

    async def on_start(self) -> None:
        await self._commands.open()

    async def on_stop(self) -> None:
        await self._commands.close()
