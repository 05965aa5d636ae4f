"""Redaction: secrets in what senders wrote are masked, or replaced by a keyed hash, before anything leaves `process`.

It works on the bytes of events as received, before they are parsed, so that whatever is made of them (fields, counts,
`event.original`, dead letters) is made of redacted bytes. Ids are made before, of the bytes as they came.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any

import orjson

from agents.redact_keys import is_masked, is_secret_name, plain_name
from agents.redact_rules import rules_for, sign_of
from logsync_streams.envelope import Decoded
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import ProcessSettings

MASK = "(redacted)"  # may stand in a URL, in JSON and in syslog's structured data
_MAX_DEPTH = 200  # orjson reads 1024 levels and writes 254; deeper objects are redacted as text
_MIN_HASH_KEY_BYTES = 16
_MAX_PASSES = 5
KEYS = "keys"
_SMALLEST_CARD = 10**12
_LONGEST_PLAIN_KEY = 12  # characters of a JSON key that is not looked into: no token is so short
FAILED = b"(redacted whole: redaction failed on this event)"


class _TooDeep(Exception):
    pass


class Redactor:
    """The rules in force. names: of redact_rules.RULES; more_keys: further names of secrets; hash_key: 16 to 64 bytes,
    the values then become `(hmac:…)`, the same for the same value, instead of the mask.
    """

    def __init__(self, names: Collection[str], more_keys: Sequence[str] = (), hash_key: bytes = b"") -> None:
        rules = rules_for(names, more_keys)
        self._rules = [(rule, sign_of([rule])) for rule in rules]
        self._keys = any(rule.name == KEYS for rule in rules)
        self._more_keys = frozenset(plain_name(key) for key in more_keys)
        self._hash_key = hash_key
        self._sign = sign_of(rules)

    def records(self, records: Sequence[Decoded], redacted: Counter[str]) -> list[Decoded]:
        """The records with the secrets of their events redacted; `redacted` counts them by rule."""
        if not self._rules:
            return list(records)
        parts = [data for record in records for data in record.events]
        suspects = self._suspects(parts)
        if not suspects:
            return list(records)
        changed = []
        position = 0
        for record in records:
            here = [i - position for i in suspects if position <= i < position + len(record.events)]
            position += len(record.events)
            if here:
                events = list(record.events)
                for i in here:
                    events[i] = self._safely(events[i], redacted)
                record = record._replace(events=events)
            changed.append(record)
        return changed

    def data(self, data: bytes, redacted: Counter[str]) -> bytes:
        """The bytes of one event, redacted; the same bytes when there is nothing to redact."""
        return self._safely(data, redacted) if self._rules and self._sign.search(data) is not None else data

    def text(self, text: str, redacted: Counter[str]) -> str:
        """A text, redacted. What a mask uncovers (`password=Bearer Bearer …`) is redacted in a further pass."""
        for _ in range(_MAX_PASSES):
            changed = self._pass(text, redacted)
            if changed == text:
                break
            text = changed
        return text

    def _pass(self, text: str, redacted: Counter[str]) -> str:
        encoded = text.encode(errors="replace")
        if self._sign.search(encoded) is None:
            return text
        if text[:1] in ("{", "[") and (found := self._json(encoded, redacted)) is not None:
            return found.decode()
        for rule, sign in self._rules:
            if sign.search(encoded) is None:
                continue
            pieces = []
            position = 0
            for start, end in sorted(rule.find(text)):
                if start < position or is_masked(text[start:end]):
                    continue  # within one that is redacted already, or redacted elsewhere
                pieces += [text[position:start], self._instead(text[start:end])]
                position = end
                redacted[rule.name] += 1
            if pieces:
                text = "".join([*pieces, text[position:]])
        return text

    def _suspects(self, parts: list[bytes]) -> list[int]:
        """The positions of events in which a sign of a secret is: one search over all of them."""
        joined = b"\n".join(parts)
        search = self._sign.search
        match = search(joined)
        if match is None:
            return []
        ends = list(accumulate(len(part) + 1 for part in parts))
        found = []
        while match is not None:
            position = bisect_right(ends, match.start())
            found.append(position)
            if position == len(parts) - 1:
                break
            match = search(joined, ends[position])
        return found

    def _safely(self, data: bytes, redacted: Counter[str]) -> bytes:
        try:
            return self._data(data, redacted)
        except Exception:  # a bug of ours must neither stop the stream nor let a secret out: counted, and the event is
            redacted["failed"] += 1  # what cannot be read, a dead letter where its format is JSON
            return FAILED

    def _data(self, data: bytes, redacted: Counter[str]) -> bytes:
        if data.lstrip()[:1] in (b"{", b"["):
            found = self._json(data, redacted)
            if found is not None:
                return found
        try:
            text, encoding = data.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = data.decode("latin-1"), "latin-1"
        changed = self.text(text, redacted)
        return data if changed == text else changed.encode(encoding)

    def _json(self, data: bytes, redacted: Counter[str]) -> bytes | None:
        """JSON, redacted; None when it is none. Only what was changed is written anew."""
        try:
            content = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
        counted: Counter[str] = Counter()
        try:
            changed = self._value(content, counted, 0, secret=False)
        except _TooDeep:
            return None
        if not counted:
            return data
        redacted.update(counted)
        return orjson.dumps(changed)

    def _value(self, value: Any, redacted: Counter[str], depth: int, *, secret: bool) -> Any:
        """A JSON value, redacted. secret: it stands under a name of a secret."""
        if depth > _MAX_DEPTH:
            raise _TooDeep
        if type(value) is dict:
            return {
                self.text(key, redacted) if len(key) > _LONGEST_PLAIN_KEY else key: self._value(
                    inner, redacted, depth + 1, secret=secret or (self._keys and is_secret_name(key, self._more_keys))
                )
                for key, inner in value.items()
            }
        if type(value) is list:
            return [self._value(inner, redacted, depth + 1, secret=secret) for inner in value]
        if value is None or type(value) is bool or (type(value) is int and value < _SMALLEST_CARD and not secret):
            return value
        text = value if type(value) is str else repr(value)
        if secret:
            if not text or is_masked(text):
                return value
            redacted[KEYS] += 1
            return self._instead(text)
        changed = self.text(text, redacted)
        return value if changed == text else changed

    def _instead(self, value: str) -> str:
        if not self._hash_key:
            return MASK
        digest = hashlib.blake2b(value.encode(errors="surrogatepass"), digest_size=8, key=self._hash_key)
        return f"(hmac:{digest.hexdigest()})"


@lru_cache(maxsize=1)
def default_redactor() -> Redactor:
    """The rules that are on unless the settings say otherwise."""
    return redactor(ProcessSettings())


def redactor(settings: ProcessSettings) -> Redactor:
    """The rules that the settings want. Raises ConfigurationError when the key of the hash cannot be used."""
    key = b""
    path = settings.redact_hash_key_file
    if path is not None:
        try:
            key = path.read_bytes().strip()
        except OSError as error:
            raise ConfigurationError(
                [f"LOGSYNC_PROCESS__REDACT_HASH_KEY_FILE: {str(path)!r}: {error.strerror}"]
            ) from error
        if len(key) < _MIN_HASH_KEY_BYTES:
            raise ConfigurationError(
                [
                    f"LOGSYNC_PROCESS__REDACT_HASH_KEY_FILE: {str(path)!r} holds {len(key)} bytes: "
                    f"at least {_MIN_HASH_KEY_BYTES} random ones are expected"
                ]
            )
        key = hashlib.blake2b(key).digest()
    return Redactor(settings.redact, settings.redact_keys, key)
