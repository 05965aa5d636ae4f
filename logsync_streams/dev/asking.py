"""What `logsync dev` asks its parts over HTTP: whether they are up, how far they are, and whether a log is found."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx

_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 2.0  # a part that stands still must not delay a second Ctrl-C for long


class Parts:
    """The addresses of the running parts, and one HTTP client for them."""

    def __init__(self, collector: str, worker: str, query: str) -> None:
        """Base URLs, e.g. http://127.0.0.1:8081."""
        self.collector, self.worker, self.query = collector, worker, query
        # trust_env: a proxy in the environment must not get our loopback requests.
        self._client = httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def json(self, url: str) -> dict[str, Any] | None:
        """The JSON object at a URL; None when there is no good answer (yet)."""
        try:
            answer = await self._client.get(url)
            body = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError):
            return None
        return body if isinstance(body, dict) else None

    async def until_up(self, url: str) -> None:
        """Returns once the URL answers 2xx."""
        while True:
            try:
                if (await self._client.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass  # not listening yet: the caller bounds the wait
            await asyncio.sleep(_POLL_SECONDS)

    async def send_probe(self) -> str:
        """Sends a log with a word of its own, until it is accepted. The word."""
        word = f"probe{uuid.uuid4().hex[:12]}"
        log = {"service": "logsync-dev", "level": "INFO", "message": f"a log that looks for itself: {word}"}
        while True:
            try:
                if (await self._client.post(f"{self.collector}/api/logs", json=log)).is_success:
                    return word
            except httpx.HTTPError:
                pass  # the door opens in a moment: the caller bounds the wait
            await asyncio.sleep(_POLL_SECONDS)

    async def until_found(self, word: str) -> None:
        """Returns once a search finds the word."""
        while True:
            try:
                answer = await self._client.get(f"{self.query}/api/logs/search", params={"q": word})
                if answer.is_success and answer.json()["hits"]:
                    return
            except (httpx.HTTPError, ValueError, KeyError):
                pass  # the API comes up with the worker: the caller bounds the wait
            await asyncio.sleep(_POLL_SECONDS)
