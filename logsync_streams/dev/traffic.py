"""Sends the sample traffic to the doors at a steady rate: two thirds by HTTP, one third by syslog UDP."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime

import httpx

from logsync_streams.dev.sample import sample_logs

_TICK_SECONDS = 0.25
_UDP_SHARE = 3  # one log in so many goes by syslog


class Traffic:
    """Sample logs until cancelled. What a door does not take is left out and counted: samples are not worth a retry."""

    def __init__(self, url: str, syslog: tuple[str, int], *, rate: float, seed: int = 1) -> None:
        """url: of POST /api/logs; syslog: host and port; rate: logs a second."""
        self.sent = 0
        self.refused = 0
        self._url, self._syslog, self._rate = url, syslog, rate
        self._logs = sample_logs(seed)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        started, made = loop.time(), 0
        family = socket.AF_INET6 if ":" in self._syslog[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                while True:
                    await asyncio.sleep(_TICK_SECONDS)
                    due = int((loop.time() - started) * self._rate) - made
                    # After a stall the missed ones are let go: a burst would be no gentle traffic.
                    made += due
                    await self._send(client, udp, min(due, int(self._rate * 2) + 1))

    async def _send(self, client: httpx.AsyncClient, udp: socket.socket, count: int) -> None:
        now = datetime.now(UTC)
        lines: list[bytes] = []
        for _ in range(count):
            log = next(self._logs)
            # A stack trace is several lines, which one UDP syslog message may hold but few senders send so.
            if (self.sent + self.refused + len(lines)) % _UDP_SHARE == 0 and "\n" not in log.message:
                try:
                    udp.sendto(log.as_syslog(now), self._syslog)
                    self.sent += 1
                except OSError:
                    self.refused += 1
            else:
                lines.append(log.as_json(now))
        if lines:
            await self._post(client, lines)

    async def _post(self, client: httpx.AsyncClient, lines: list[bytes]) -> None:
        try:
            answer = await client.post(
                self._url, content=b"\n".join(lines), headers={"content-type": "application/x-ndjson"}
            )
        except httpx.HTTPError:
            self.refused += len(lines)
            return
        if answer.is_success:
            self.sent += len(lines)
        else:
            self.refused += len(lines)
