"""A sender's own keys -> `labels.*`: one flat object of texts, with every size bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

MAX_LABELS = 1000  # of one event; what is left is one label more, MORE
MAX_KEY_LENGTH = 256  # characters; longer keys are cut (`event.original` has the whole)
MORE = "_more"  # JSON text: a list of [key, value] of what found no place

_MAX_DEPTH = 100  # of what is kept as JSON text; orjson writes no more than 254 levels
_TOO_DEEP = "(nested too deeply)"


class Labels:
    """The labels of one event: keys without order, values as texts or lists of texts.

    A number or a boolean becomes its JSON text, so that every store compares it alike; null is left out. A key that
    is there already keeps its first value, and the later one goes to MORE.
    """

    __slots__ = ("_more", "found")

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._more: list[list[Any]] = []

    def add(self, key: str, value: Any) -> None:
        """One label; `value` is any JSON value, a nested object is kept as JSON text."""
        if type(value) is not str:
            if value is None:
                return
            value = _as_text(value)
        if len(key) > MAX_KEY_LENGTH or not key or "\0" in key:
            key = _storable(key)
        if key in self.found or len(self.found) >= MAX_LABELS or key == MORE:
            self._more.append([key, value])
        else:
            self.found[key] = value

    def add_all(self, values: Mapping[str, Any], prefix: str = "") -> None:
        """Each leaf of a nested object, its key the path joined by dots."""
        for path, value in leaves(values, prefix):
            self.add(path, value)

    def result(self) -> dict[str, Any]:
        """What the event's `labels` are to hold; empty when there are none."""
        if self._more:
            self.found[MORE] = json_text(self._more)
            self._more = []
        return self.found


def plain(values: Mapping[str, Any]) -> bool:
    """True only when `values` is just what `Labels` would make of it: texts under short keys, as most metadata is."""
    keys = "".join(values)
    if len(keys) > MAX_KEY_LENGTH or "\0" in keys or "" in values or MORE in values:
        return False
    try:
        "".join(values.values())  # the fastest way to ask whether all are texts
    except TypeError:
        return False
    return True


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path joined by dots, value) of everything in a nested object that is not an object itself, in order.

    An empty object is a leaf. Paths are cut on the way down, else a long key over a deep object would cost its length
    at every level. No recursion: JSON may be a thousand levels deep.
    """
    stack = [(prefix, iter(values.items()))]
    while stack:
        path, items = stack[-1]
        for key, value in items:
            name = f"{path}.{key}" if path else key
            if type(value) is dict and value:
                stack.append((name[: MAX_KEY_LENGTH + 1], iter(value.items())))
                break
            yield name, value
        else:
            stack.pop()


def json_text(value: Any) -> str:
    """The JSON text of a parsed value, also of one nested too deeply to be written: it is cut there."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # orjson's JSONEncodeError: the recursion limit
        return orjson.dumps(_pruned(value, _MAX_DEPTH)).decode()


def _as_text(value: Any) -> Any:
    if type(value) is list:
        return [item if type(item) is str else json_text(item) for item in value if item is not None]
    return repr(value) if type(value) is float else json_text(value)  # orjson's releases differ on exponents


def _storable(key: str) -> str:
    # Stores refuse an empty key, and Elasticsearch a NUL in one.
    return key[:MAX_KEY_LENGTH].replace("\0", "\ufffd") or "_"


def _pruned(value: Any, depth: int) -> Any:
    if type(value) is dict:
        return {key: _pruned(item, depth - 1) for key, item in value.items()} if depth else _TOO_DEEP
    if type(value) is list:
        return [_pruned(item, depth - 1) for item in value] if depth else _TOO_DEEP
    return value
