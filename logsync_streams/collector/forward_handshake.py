"""Fluent forward's handshake with a shared key: HELO, PING, PONG. Each side shows that it knows the key.

There are no user names: HELO says so with an empty `auth`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

import msgpack

_NONCE_BYTES = 16


class Handshake:
    """One connection's. hostname: the name that we give; it is in the digest, and must not be the sender's own."""

    def __init__(self, shared_key: bytes, hostname: str, *, nonce: bytes | None = None) -> None:
        self._key, self._hostname = shared_key, hostname.encode()
        self._nonce = nonce or os.urandom(_NONCE_BYTES)

    def helo(self) -> bytes:
        """What is sent first."""
        options = {"nonce": self._nonce, "auth": b"", "keepalive": True}
        packed: bytes = msgpack.packb(["HELO", options], use_bin_type=True)
        return packed

    def pong(self, ping: Any) -> tuple[bool, bytes]:
        """(the sender may go on, the answer) to what it sent: [PING, its name, salt, digest, user, password]."""
        if (
            type(ping) is not list
            or len(ping) < 4
            or ping[0] != b"PING"
            or not all(type(p) is bytes for p in ping[1:4])
        ):
            return False, _pong(False, "a PING is expected", b"", "")
        _, name, salt, digest = ping[:4]
        if not hmac.compare_digest(digest, _digest(salt, name, self._nonce, self._key)):
            return False, _pong(False, "shared_key mismatch", b"", "")
        if name == self._hostname:
            return False, _pong(False, "both sides have the same name", b"", "")
        answer = _digest(salt, self._hostname, self._nonce, self._key)
        return True, _pong(True, "", self._hostname, answer.decode())


def _digest(salt: bytes, name: bytes, nonce: bytes, key: bytes) -> bytes:
    return hashlib.sha512(salt + name + nonce + key).hexdigest().encode()


def _pong(ok: bool, reason: str, hostname: bytes, digest: str) -> bytes:
    packed: bytes = msgpack.packb(["PONG", ok, reason, hostname.decode(), digest], use_bin_type=True)
    return packed
