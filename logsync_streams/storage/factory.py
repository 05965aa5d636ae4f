"""Settings -> an open store. Each kind is imported only when it is chosen, so that the others need not be installed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import Settings
from logsync_streams.storage.api import EventReader, EventWriter, IndexAdmin

if TYPE_CHECKING:
    from logsync_streams.storage.embedded_commands import CommandSocket

STORE_FOLDER = "store"


@dataclass(frozen=True, slots=True)
class Store:
    """One store's three sides. They may be one object, or share a connection: close them together."""

    writer: EventWriter
    reader: EventReader
    admin: IndexAdmin

    async def close(self) -> None:
        """Close all three; what was acknowledged is durable already."""
        seen: list[object] = []
        for side in (self.writer, self.reader, self.admin):
            if not any(side is one for one in seen):
                seen.append(side)
                await side.close()


def open_store(settings: Settings) -> Store:
    """The store to write to, to read and to administer.

    Embedded: takes the folder for itself. Raises ConfigurationError when another process has it, when it is broken,
    or when the extra is not installed. Elasticsearch: connects at the first call, raises nothing.
    """
    if settings.store.kind == "embedded":
        one = _embedded().EmbeddedStore(store_folder(settings))
        return Store(one, one, one)
    from logsync_streams.storage.elasticsearch import (
        ElasticsearchAdmin,
        ElasticsearchReader,
        ElasticsearchWriter,
        connect,
    )

    client = connect(settings.store)
    return Store(ElasticsearchWriter(client), ElasticsearchReader(client), ElasticsearchAdmin(client))


def open_store_beside(settings: Settings) -> Store:
    """The same for a command, that may run while a worker does: of the embedded store, which has one writer, what
    changes something then goes through that. Raises ConfigurationError.
    """
    try:
        return open_store(settings)
    except ConfigurationError as error:
        if settings.store.kind != "embedded" or not isinstance(error, _embedded().StoreTaken):
            raise
        from logsync_streams.storage.embedded_beside import BesideWriter

        beside = BesideWriter(store_folder(settings), error.holder)
        return Store(beside, beside, beside)


async def check_store(settings: Settings, datasets: Iterable[str]) -> None:
    """What must hold before anything of ours runs on the store. Raises ConfigurationError when the store would delete
    by itself what it is given; Unavailable.
    """
    if settings.store.kind == "embedded":
        return
    from logsync_streams.storage.elasticsearch import connect
    from logsync_streams.storage.elasticsearch_lifecycle import refuse_deletion

    connection = connect(settings.store)
    try:
        await refuse_deletion(connection, datasets)
    finally:
        await connection.close()


def command_socket(store: Store, settings: Settings) -> CommandSocket | None:
    """Where `store`, opened by `open_store`, takes other processes' commands; None when it need not."""
    if settings.store.kind != "embedded":
        return None
    from logsync_streams.storage.embedded_commands import CommandSocket

    writer: Any = store.writer  # an EmbeddedStore: all in one
    return CommandSocket(writer, store_folder(settings))


def open_reader(settings: Settings) -> EventReader:
    """The store to read only, beside the process that writes. Raises ConfigurationError as `open_store` does."""
    if settings.store.kind == "embedded":
        reader: EventReader = _embedded().EmbeddedReader(store_folder(settings))
        return reader
    from logsync_streams.storage.elasticsearch import ElasticsearchReader, connect

    return ElasticsearchReader(connect(settings.store))


def store_folder(settings: Settings) -> Path:
    """Where the embedded store is."""
    return settings.data_dir / STORE_FOLDER


def _embedded() -> ModuleType:
    try:
        from logsync_streams.storage import embedded
    except ModuleNotFoundError as error:
        if error.name != "tantivy":
            raise
        raise ConfigurationError(
            ["LOGSYNC_STORE__KIND: 'embedded' needs the package tantivy: pip install 'logsync-streams[embedded]'"]
        ) from error
    return embedded
