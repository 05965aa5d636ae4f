"""`logsync dev` from its command line to its exit code."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from logsync_streams.configuration import load
from logsync_streams.dev import checks, environment, terminal
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import Settings


def run(given: Mapping[str, str], *, rate: float, say: Callable[[str], None]) -> int:
    """Runs the whole system until Ctrl-C. The exit code.

    given: the environment, with the user's settings. rate: sample logs a second, 0 = none. say: prints a line.
    Raises ConfigurationError before anything is started: settings, ports, the data folder, missing extras.
    """
    for_children = environment.embedded(given)
    settings = load(for_children)
    if importlib.util.find_spec("tantivy") is None:
        raise ConfigurationError(
            ["the embedded store is not installed: pip install 'logsync-streams[embedded,dev-broker]'"]
        )
    with checks.locked_folder(Path(settings.data_dir)):
        checks.check_ports(checks.addresses(settings))
        # Imported here: it takes the better part of a second, and a refusal need not wait for it.
        from logsync_streams.dev.supervisor import Supervisor

        _check_store(settings)
        say(f"LogSync Streams on this machine (data and the parts' own words in {_shown(Path(settings.data_dir))})")
        with terminal.foreground_of_our_own():
            return asyncio.run(Supervisor(settings, for_children, rate=rate, say=say).run())


def _check_store(settings: Settings) -> None:
    """Raises ConfigurationError when the store of an earlier run cannot be opened."""
    from logsync_streams.storage import factory

    async def open_and_close() -> None:
        await factory.open_store(settings).close()

    asyncio.run(open_and_close())


def _shown(folder: Path) -> str:
    here = Path(os.curdir).absolute()
    return f"./{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)
