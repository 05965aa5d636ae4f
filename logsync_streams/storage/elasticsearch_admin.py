"""Making, looking at and removing our indices in Elasticsearch. Every call can be repeated and run in two processes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from elastic_transport import TransportError

from logsync_streams.errors import ConfigurationError
from logsync_streams.storage import elasticsearch_erase, elasticsearch_scan
from logsync_streams.storage.api import IndexInfo, Portion, Stored
from logsync_streams.storage.documents import event_alias
from logsync_streams.storage.elasticsearch_client import Answer, Connection
from logsync_streams.storage.elasticsearch_errors import unavailable
from logsync_streams.storage.elasticsearch_lifecycle import refuse_deletion
from logsync_streams.storage.elasticsearch_templates import (
    CUSTOM,
    INDEX_TEMPLATE,
    component_templates,
    custom_template,
    index_template,
)
from logsync_streams.storage.naming import ALL_INDICES, IndexName, parse_index

_EXISTS = "resource_already_exists_exception"
_REFUSALS = frozenset({400, 401, 403})
_MISSING = frozenset({404})


class ElasticsearchAdmin:
    """An IndexAdmin. Closing it closes the connection that it shares."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._looked_at: set[str] = set()

    async def prepare(self) -> None:
        try:
            abilities = await self._connection.abilities()
        except TransportError as error:
            raise unavailable(error) from error
        for name, body in component_templates(self._connection.store, abilities).items():
            await self._demand("PUT", f"/_component_template/{name}", body)
        custom = f"/_component_template/{CUSTOM}"
        if (await self._connection.ask("GET", custom, allowed=_MISSING)).status == 404:
            # Refused with 400 when another process has made it meanwhile; the next request would tell of anything else.
            await self._connection.ask(
                "PUT", custom, params={"create": "true"}, body=custom_template(), allowed=_REFUSALS
            )
        await self._demand("PUT", f"/_index_template/{INDEX_TEMPLATE}", index_template())
        await refuse_deletion(self._connection)

    async def create(self, target: str) -> None:
        first = replace(event_alias(target), generation=1)
        if await self._write_index(target) is not None:
            return
        if first.dataset not in self._looked_at:
            # Elasticsearch may have been away when all datasets were looked at, before the start.
            await refuse_deletion(self._connection, [first.dataset])
            self._looked_at.add(first.dataset)
        await self._make(str(first), {"aliases": {target: {"is_write_index": True}}})

    async def next_generation(self, target: str) -> None:
        await self._open_next(target, {})

    async def _open_next(self, target: str, body: Mapping[str, Any]) -> None:
        newest = await self._write_index(target)
        if newest is None:
            await self.create(target)
            return
        name = parse_index(newest)
        if name is None or not name.generation:
            raise ConfigurationError([f"the alias {target} stands for {newest}, which is not an index of LogSync's"])
        following = str(replace(name, generation=name.generation + 1))
        # Made first and given the alias in one step with its being taken away: there is a write index at every moment.
        await self._make(following, body)
        await self._demand(
            "POST",
            "/_aliases",
            {
                "actions": [
                    {"add": {"index": newest, "alias": target, "is_write_index": False}},
                    {"add": {"index": following, "alias": target, "is_write_index": True}},
                ]
            },
        )

    async def indices(self) -> list[IndexInfo]:
        path = f"/{ALL_INDICES}"
        params = {"ignore_unavailable": "true", "allow_no_indices": "true"}
        counted = await self._connection.ask(
            "GET",
            f"{path}/_stats/docs,store",
            params={"filter_path": "indices.*.primaries.docs.count,indices.*.primaries.store.size_in_bytes", **params},
        )
        settings = await self._connection.ask(
            "GET", f"{path}/_settings/index.blocks.*", params={"flat_settings": "true", **params}, allowed=_MISSING
        )
        found: list[IndexInfo] = []
        for index, statistics in sorted(counted.body.get("indices", {}).items()):
            name = parse_index(index)
            if name is None or not name.generation:
                continue
            primaries = statistics.get("primaries", {})
            blocks = (settings.body.get(index) or {}).get("settings", {})
            found.append(
                IndexInfo(
                    name=name,
                    documents=primaries.get("docs", {}).get("count", 0),
                    size_bytes=primaries.get("store", {}).get("size_in_bytes", 0),
                    write_blocked=str(blocks.get("index.blocks.write", "false")).lower() == "true",
                )
            )
        return found

    async def portions(self, index: str) -> list[Portion]:
        return await elasticsearch_scan.portions(self._connection, index)

    async def scan(self, index: str, after: str = "", limit: int = 500) -> list[Stored]:
        return await elasticsearch_scan.scan(self._connection, index, after, limit)

    async def block_writes(self, index: str) -> None:
        await self._demand("PUT", f"/{_quoted(index)}/_block/write", None, allowed=_MISSING)

    async def erase(self, index: str, ids: Collection[str]) -> None:
        name = _ours(index)
        if not await elasticsearch_erase.is_blocked(self._connection, index):
            await elasticsearch_erase.delete(self._connection, index, ids)
            return
        if await self._write_index(name.alias) == index:
            # Without its block it would take a late event that its archive has not. The next generation is blocked as
            # well: whoever wants to write there opens one as for any archived day, after a look at the tombstones.
            await self._open_next(name.alias, {"settings": {"index.blocks.write": True}})
        await elasticsearch_erase.lift_block(self._connection, index)
        try:
            await elasticsearch_erase.delete(self._connection, index, ids)
        finally:
            await self.block_writes(index)

    async def drop(self, index: str) -> None:
        name = _ours(index)
        aliases = await self._aliases(name.alias)
        left = sorted(other for other in aliases if other != index)
        if aliases.get(index) and left:
            # Its alias must not be without a write index.
            actions = [
                {"remove_index": {"index": index}},
                {"add": {"index": left[-1], "alias": name.alias, "is_write_index": True}},
            ]
            await self._demand("POST", "/_aliases", {"actions": actions}, allowed=_MISSING)
            return
        await self._demand("DELETE", f"/{_quoted(index)}", None, allowed=_MISSING)

    async def refresh(self) -> None:
        params = {"ignore_unavailable": "true", "allow_no_indices": "true"}
        await self._connection.ask("POST", f"/{ALL_INDICES}/_refresh", params=params)

    async def close(self) -> None:
        await self._connection.close()

    async def _aliases(self, target: str) -> dict[str, bool]:
        """Index -> whether it takes the alias's writes. Raises ConfigurationError when the name is an index."""
        params = {"ignore_unavailable": "true", "allow_no_indices": "true"}
        answer = await self._connection.ask("GET", f"/{_quoted(target)}/_alias", params=params, allowed=_MISSING)
        if answer.status == 404:
            return {}
        if target in answer.body:
            raise ConfigurationError(
                [f"{target} is an index, but must be an alias: it was not made by LogSync; remove or rename it"]
            )
        return {
            index: bool(entry.get("aliases", {}).get(target, {}).get("is_write_index", len(answer.body) == 1))
            for index, entry in answer.body.items()
        }

    async def _write_index(self, target: str) -> str | None:
        writing = [index for index, writes in (await self._aliases(target)).items() if writes]
        return max(writing, default=None)

    async def _make(self, index: str, body: Mapping[str, Any]) -> None:
        """Make an index, or find that another process has."""
        # A search in the next moment must find its shards there.
        params = {"wait_for_active_shards": "1"}
        answer = await self._connection.ask("PUT", f"/{_quoted(index)}", params=params, body=body, allowed=_REFUSALS)
        if answer.status >= 300 and answer.error_type != _EXISTS:
            raise _refused("PUT", f"/{index}", answer)

    async def _demand(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, allowed: frozenset[int] = frozenset()
    ) -> None:
        """A request that must succeed. Raises ConfigurationError when it is refused for good, Unavailable else."""
        answer = await self._connection.ask(method, path, body=body, allowed=_REFUSALS | allowed)
        if answer.status in _REFUSALS:
            raise _refused(method, path, answer)


def _ours(index: str) -> IndexName:
    name = parse_index(index)
    if name is None or not name.generation:
        raise ConfigurationError([f"{index!r} is not an index of LogSync's: it is left alone"])
    return name


def _refused(method: str, path: str, answer: Answer) -> ConfigurationError:
    said = answer.body.get("error")
    reason = said.get("reason", "") if isinstance(said, dict) else said
    return ConfigurationError([f"Elasticsearch refuses {method} {path} (status {answer.status}): {reason}"])


def _quoted(name: str) -> str:
    return quote(name, safe="")
