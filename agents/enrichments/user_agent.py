"""`user_agent.name`, `.version`, `.os.*`, `.device.name` out of `user_agent.original`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from logsync_streams.errors import ConfigurationError
from logsync_streams.events import Event

_CACHED = 4096
_MAX_LENGTH = 1024  # what is longer is no browser
# Where senders put it that do not use ECS names.
_LABELS = frozenset(("user_agent", "userAgent", "user-agent", "User-Agent", "http_user_agent", "http.user_agent"))


def user_agent() -> Callable[[Event], None]:
    """The enrichment. Raises ConfigurationError: the library is missing."""
    try:
        import ua_parser
    except ImportError as error:
        raise ConfigurationError(
            ["LOGSYNC_PROCESS__USER_AGENT: needs the extra: pip install 'logsync-streams[useragent]'"]
        ) from error

    @lru_cache(maxsize=_CACHED)
    def known(original: str) -> dict[str, Any]:
        result = ua_parser.parse(original)
        found: dict[str, Any] = {}
        if result.user_agent:
            found["name"] = result.user_agent.family
            found["version"] = _version(result.user_agent)
        if result.os:
            found["os"] = _given({"name": result.os.family, "version": _version(result.os)})
        if result.device:
            found["device"] = {"name": result.device.family}
        return _given(found)

    def add_user_agent(event: Event) -> None:
        fields = event.fields
        agent = fields.get("user_agent")
        if agent is None:
            labels = fields.get("labels") or {}
            named = _LABELS.intersection(labels)
            if not named:
                return
            agent = {"original": labels[min(named)]}
        original = agent.get("original")
        if isinstance(original, str) and 0 < len(original) <= _MAX_LENGTH:
            fields["user_agent"] = {**known(original), **agent}

    return add_user_agent


def _version(part: Any) -> str:
    numbers = (part.major, part.minor, part.patch)
    return ".".join(number for number in numbers if number)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
