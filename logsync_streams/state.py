"""The memory that outlives every process: `logs-state`, a compacted topic; a file where the broker forgets.

Keys are `<kind>/<name>`, values JSON. It holds what must be decided once: the dataset assignment in force on a day,
tombstones of dropped days, erased ids. The first value written for a key stands: two workers that decide the same
thing at the same moment agree on whichever came first. What is of no use any more is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import aiokafka
import orjson
from aiokafka.errors import KafkaError

from logsync_streams import topics
from logsync_streams.errors import Unavailable
from logsync_streams.settings import Settings


class StateLog(Protocol):
    async def read(self) -> dict[str, bytes]:
        """All keys with the value in force. Raises Unavailable."""
        ...

    async def decide(self, key: str, value: bytes) -> bytes:
        """Write the value unless the key has one; the value in force is returned, durable. Raises Unavailable."""
        ...

    async def forget(self, keys: Iterable[str]) -> None:
        """Remove these keys; one that is decided afterwards is new. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


class FileState:
    """A file of lines, one decision a line; for the embedded broker, which forgets when it stops."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _locked(self, act: Callable[[Any], bytes | dict[str, bytes]]) -> Any:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_the_file(file):
                    return act(file)

    def _is_the_file(self, file: Any) -> bool:
        """Whether it still has the name: `forget` puts another in its place."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    @staticmethod
    def _read(file: Any) -> dict[str, bytes]:
        file.seek(0)
        found: dict[str, bytes] = {}
        for line in file.read().split(b"\n"):
            with contextlib.suppress(orjson.JSONDecodeError):  # a line torn by a power cut was never answered for
                entry = orjson.loads(line) if line else None
                if entry:
                    found.setdefault(entry["key"], entry["value"].encode())
        return found

    async def read(self) -> dict[str, bytes]:
        return await asyncio.to_thread(self._locked, self._read)

    async def decide(self, key: str, value: bytes) -> bytes:
        def act(file: Any) -> bytes:
            found = self._read(file).get(key)
            if found is not None:
                return found
            file.seek(0, os.SEEK_END)
            # A newline before as well: it ends a torn line.
            file.write(b"\n" + orjson.dumps({"key": key, "value": value.decode()}) + b"\n")
            file.flush()
            os.fsync(file.fileno())
            return value

        return await asyncio.to_thread(self._locked, act)

    async def forget(self, keys: Iterable[str]) -> None:
        gone = set(keys)

        def act(file: Any) -> bytes:
            found = self._read(file)
            if gone.isdisjoint(found):
                return b""
            new = self._path.with_name(f"{self._path.name}.new")
            with new.open("wb") as without:
                for key, value in found.items():
                    if key not in gone:
                        without.write(orjson.dumps({"key": key, "value": value.decode()}) + b"\n")
                without.flush()
                os.fsync(without.fileno())
            new.replace(self._path)
            return b""

        await asyncio.to_thread(self._locked, act)

    async def close(self) -> None:
        return None


class KafkaState:
    """The compacted topic `logs-state`, one partition. Compaction keeps the last value, so a later writer of a key
    that lost writes the winner's value again.
    """

    def __init__(self, settings: Settings) -> None:
        self._bootstrap = settings.kafka.bootstrap

    async def read(self) -> dict[str, bytes]:
        try:
            return await self._read()
        except KafkaError as error:
            raise self._away(error) from error

    def _away(self, error: KafkaError) -> Unavailable:
        return Unavailable(f"{topics.STATE} on {','.join(self._bootstrap)}: {str(error) or type(error).__name__}")

    async def _read(self) -> dict[str, bytes]:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=self._bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partition = aiokafka.TopicPartition(topics.STATE, 0)
            consumer.assign([partition])
            start = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            consumer.seek(partition, start)
            found: dict[str, bytes] = {}
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        if record.key and record.value:
                            found.setdefault(record.key.decode(), record.value)
                        elif record.key:
                            found.pop(record.key.decode(), None)
            return found
        finally:
            await consumer.stop()

    async def _write(self, entries: Iterable[tuple[str, bytes | None]]) -> None:
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all")
        try:
            await producer.start()
            sent = [await producer.send(topics.STATE, value, key=key.encode(), partition=0) for key, value in entries]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise self._away(error) from error
        finally:
            await producer.stop()

    async def decide(self, key: str, value: bytes) -> bytes:
        found = (await self.read()).get(key)
        if found is not None:
            return found
        await self._write([(key, value)])
        winner = (await self.read())[key]
        if winner != value:
            await self._write([(key, winner)])
        return winner

    async def forget(self, keys: Iterable[str]) -> None:
        await self._write((key, None) for key in sorted(set(keys)))

    async def close(self) -> None:
        return None


def open_state(settings: Settings) -> StateLog:
    """The state of this pipeline, by the kind of its broker."""
    if settings.kafka.embedded:
        return FileState(settings.data_dir / "state.ndjson")
    return KafkaState(settings)
