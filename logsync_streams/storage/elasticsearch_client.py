"""The connection to Elasticsearch: one client for the writer, the reader and the administration.

What kind of server it is, is asked at the first use, so that a worker starts while Elasticsearch is away.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from elastic_transport import (
    AiohttpHttpNode,
    HttpHeaders,
    JsonSerializer,
    SerializationError,
    TransportError,
)
from elasticsearch import AsyncElasticsearch, UnsupportedProductError

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch_errors import unavailable

_PRODUCT = "x-elastic-product"
_ITEMS = b'{"items":['  # how an answer begins of which only the items are asked for
_ASSUMED = "x-logsync-product-assumed"  # set by us on an answer without the header above
_COMPATIBLE = re.compile(r"application/vnd\.elasticsearch\+(json|x-ndjson); *compatible-with=\d+")
_ANY_STATUS = frozenset(range(300, 600))  # we look at the status ourselves
_OLDEST = (7, 10)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this server can do that others cannot.

    flattened: it has the field type of that name, for labels (OSS builds and OpenSearch have not). lists_ignored: it
    keeps the names of fields whose values were too long to be indexed (from 7.14).
    """

    flattened: bool
    lists_ignored: bool


MODERN = Abilities(flattened=True, lists_ignored=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """status: of HTTP. body: the parsed JSON, {} when there was none."""

    status: int
    body: dict[str, Any]

    @property
    def error_type(self) -> str:
        """The type of the error that the body tells of, "" when it tells of none."""
        error = self.body.get("error")
        return str(error.get("type", "")) if isinstance(error, dict) else ""


class Connection:
    """Sends requests. Give the same one to the writer, the reader and the admin of a process; closing it closes all."""

    def __init__(self, store: StoreSettings) -> None:
        self.store = store
        self._asking = asyncio.Lock()
        self._client: AsyncElasticsearch | None = None
        self._abilities = MODERN

    async def abilities(self) -> Abilities:
        """What this server can do. Raises TransportError when it does not answer."""
        await self._connected()
        return self._abilities

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """One request, never repeated. body: bytes are NDJSON as it is, else JSON.

        Raises elastic_transport's TransportError when there is no answer or none that can be read.
        """
        client = await self._connected()
        return await _send(client, method, path, params, body, timeout_seconds or self.store.request_timeout_seconds)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Mapping[str, Any] | None = None,
        allowed: frozenset[int] = frozenset(),
        timeout_seconds: float | None = None,
    ) -> Answer:
        """One request that must succeed, or fail with one of the allowed statuses. Raises Unavailable."""
        try:
            answer = await self.request(method, path, params=params, body=body, timeout_seconds=timeout_seconds)
        except TransportError as error:
            raise unavailable(error) from error
        if answer.status >= 300 and answer.status not in allowed:
            raise unavailable(answer.status, answer.error_type)
        return answer

    async def close(self) -> None:
        """May be called more than once; a later request connects again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self) -> AsyncElasticsearch:
        if self._client is not None:
            return self._client
        async with self._asking:
            if self._client is None:
                self._client = await self._meet()
            return self._client

    async def _meet(self) -> AsyncElasticsearch:
        """A client of the kind that this server understands."""
        # Not GET /, which small builds refuse, and which says no more.
        path = "/_nodes/_local?filter_path=nodes.*.version,nodes.*.build_flavor"
        client = _client(self.store, _PlainNode)
        try:
            raw = client.options(ignore_status=_ANY_STATUS, request_timeout=self.store.request_timeout_seconds)
            response = await raw.perform_request("GET", path, headers={"accept": "application/json"})
        except BaseException:
            await client.close()
            raise
        if _ASSUMED not in response.meta.headers:
            # Every answer from 7.14 on carries it, a refusal too; the client's own media types work from there on.
            self._abilities = MODERN
            await client.close()
            return _client(self.store, _Node)
        nodes = response.body.get("nodes", {}) if isinstance(response.body, dict) else {}
        for node in nodes.values():
            version = str(node.get("version", ""))
            numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
            # OpenSearch counts from 1 again; it names no flavor.
            if numbers < _OLDEST and "build_flavor" in node:
                await client.close()
                raise ConfigurationError([f"Elasticsearch {version} is too old: 7.10 or newer is needed"])
            self._abilities = Abilities(flattened=node.get("build_flavor") == "default", lists_ignored=False)
        if not nodes:
            await client.close()
            raise TransportError(f"it does not say what it is (status {response.meta.status})")
        return client


def connect(store: StoreSettings) -> Connection:
    """A connection that is made at its first request. Raises ConfigurationError as `check` does."""
    connection = Connection(store)
    check(store)
    return connection


def check(store: StoreSettings) -> None:
    """Read what a connection needs. Raises ConfigurationError with every file that cannot be used, and for a user
    without a password.
    """
    problems: list[str] = []
    try:
        password = _password(store)
        if store.username is not None and not password:
            problems.append(
                f"LOGSYNC_STORE__USERNAME: {store.username!r}: a password is expected, too: set "
                "LOGSYNC_STORE__PASSWORD_FILE to a file that holds it"
            )
    except ConfigurationError as error:
        problems += error.problems
    if store.ca_file is not None:
        try:
            ssl.create_default_context(cafile=store.ca_file)
        except (OSError, ssl.SSLError) as error:
            problems.append(
                f"LOGSYNC_STORE__CA_FILE: {str(store.ca_file)!r}: {error}; PEM with CA certificates is expected"
            )
    if problems:
        raise ConfigurationError(problems)


async def _send(
    client: AsyncElasticsearch,
    method: str,
    path: str,
    params: Mapping[str, str] | None,
    body: bytes | Mapping[str, Any] | None,
    timeout_seconds: float,
) -> Answer:
    headers = {"accept": "application/json"}
    if body is not None:
        headers["content-type"] = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
    asked = client.options(ignore_status=_ANY_STATUS, request_timeout=timeout_seconds)
    try:
        response = await asked.perform_request(method, path, params=params, headers=headers, body=body)
    except UnsupportedProductError as error:  # a proxy's own page, for one: what became of the request is not known
        raise SerializationError("the answer is not Elasticsearch's") from error
    answered = response.body
    if response.meta.status < 300 and not isinstance(answered, dict):
        raise SerializationError("the answer is no JSON object")
    return Answer(response.meta.status, answered if isinstance(answered, dict) else {})


def _client(store: StoreSettings, node_class: type[AiohttpHttpNode]) -> AsyncElasticsearch:
    options: dict[str, Any] = {}
    if store.username is not None:
        options["basic_auth"] = (store.username, _password(store))
    if store.ca_file is not None:
        options["ca_certs"] = str(store.ca_file)
    return AsyncElasticsearch(
        store.elasticsearch_urls,
        node_class=node_class,
        serializers={serializer.mimetype: serializer for serializer in (BulkJson(), _CompatibleJson())},
        max_retries=0,  # who asks, knows best what may be asked again, and when
        retry_on_status=(),
        **options,
    )


def _password(store: StoreSettings) -> str:
    if store.password_file is not None:
        return _read_secret(store.password_file)
    return store.password.get_secret_value() if store.password is not None else ""


def _read_secret(path: Path) -> str:
    try:
        return path.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"LOGSYNC_STORE__PASSWORD_FILE: {str(path)!r} cannot be read: {error}"]) from error


class BulkJson(JsonSerializer):
    """Five times as fast as the client's own on the answer to a bulk request."""

    def json_dumps(self, data: Any) -> bytes:
        return orjson.dumps(data)

    def json_loads(self, data: bytes) -> Any:
        return _same_items(data) or orjson.loads(data)


def _same_items(data: bytes) -> dict[str, Any] | None:
    """The answer to a bulk request whose items are all alike, as one object many times over; None for any other.

    Nearly every answer says "stored" for each document, in the same bytes: comparing them is thirty times as fast as
    parsing them, which costs as much as building the request.
    """
    if not data.startswith(_ITEMS):
        return None
    end = data.find(b"}}", len(_ITEMS)) + 2
    first = data[len(_ITEMS) : end]
    number, rest = divmod(len(data) - len(_ITEMS) - 1, len(first) + 1)
    if end < 2 or rest or data != _ITEMS + b",".join([first] * number) + b"]}":
        return None
    return {"items": [orjson.loads(first)] * number}


class _CompatibleJson(BulkJson):
    mimetype = "application/vnd.elasticsearch+json"


class _Node(AiohttpHttpNode):
    """Leaves out the `Warning` headers: 7.17 sends one with every answer, and Python would print each. It logs no
    requests: the base class makes texts of headers and bodies for each, whether they are wanted or not.
    """

    def _log_request(self, *args: Any, **kwargs: Any) -> None:
        return None

    async def perform_request(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        response = await super().perform_request(*args, **kwargs)
        kept = {name: value for name, value in response.meta.headers.items() if name.lower() != "warning"}
        return response._replace(meta=replace(response.meta, headers=HttpHeaders(kept)))


class _PlainNode(_Node):
    """For servers before 7.14: media types that they know, and the header for which the client looks."""

    async def perform_request(  # type: ignore[override]
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: Any = None,
    ) -> Any:
        plain = {name: _COMPATIBLE.sub(r"application/\1", value) for name, value in (headers or {}).items()}
        response = await super().perform_request(method, target, body, HttpHeaders(plain), request_timeout)
        if _PRODUCT in response.meta.headers:
            return response
        assumed = HttpHeaders({**response.meta.headers, _PRODUCT: "Elasticsearch", _ASSUMED: "true"})
        return response._replace(meta=replace(response.meta, headers=assumed))
