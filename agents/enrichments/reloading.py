"""A file that is read again when it changes; what was read before stays in force while the new one is wrong."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from logsync_streams import metrics
from logsync_streams.errors import ConfigurationError

T = TypeVar("T")
CHECK_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Reloading(Generic[T]):
    """read: from the path to the value, raises ConfigurationError. The first reading's error is the caller's."""

    def __init__(
        self,
        name: str,
        path: Path,
        read: Callable[[Path], T],
        *,
        clock: Callable[[], float] = time.monotonic,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._name, self._path, self._read = name, path, read
        self._clock, self._check_seconds = clock, check_seconds
        self._seen = self._signature()
        self._value = read(path)
        self._next_check = clock() + check_seconds
        self._note(successful=True)

    def value(self) -> T:
        """The value in force. Looks at the file every few seconds."""
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + self._check_seconds
            self._check()
        return self._value

    def _check(self) -> None:
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._value = self._read(self._path)
        except ConfigurationError as error:
            self._note(successful=False)
            _log.error(
                "%s: the file has changed and cannot be used; the old content stays in force: %s", self._name, error
            )
        else:
            self._note(successful=True)
            _log.info("%s: read again", self._name)

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None  # between the old file and the new one, or gone: reading says which
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _note(self, *, successful: bool) -> None:
        metrics.config_reload_successful.labels(self._name).set(successful)
        if successful:
            metrics.config_reload_success_time.labels(self._name).set_to_current_time()
