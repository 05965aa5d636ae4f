"""The worker without its counts: `faust -A bench.uncounted worker`. What counting costs is the difference (row P4)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import agents.process
from agents.count import Tally
from logsync_streams.events import Event
from logsync_streams.worker import app_from_environment


def _uncounted(events: AsyncIterator[Event], *, tally: Tally) -> AsyncIterator[Event]:
    return events  # an empty tally makes no records and no metrics


agents.process.count = _uncounted  # type: ignore[attr-defined, assignment]  # a switch in the product would serve nobody else
app = app_from_environment()
