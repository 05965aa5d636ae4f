"""The filter: what the rules name is dropped, and counted by rule; nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Sequence

from logsync_streams.events import Event
from logsync_streams.settings import FilterRule


def matching_rule(event: Event, rules: Sequence[FilterRule]) -> FilterRule | None:
    """The first rule whose every named value the event has, None when no rule drops it."""
    for rule in rules:
        if (
            (rule.level is None or rule.level == event.level)
            and (rule.environment is None or rule.environment == event.environment)
            and (rule.service is None or rule.service == event.service)
        ):
            return rule
    return None


async def drop_noise(
    events: AsyncIterable[Event], *, rules: Sequence[FilterRule], dropped: Counter[str]
) -> AsyncIterator[Event]:
    """The events that no rule drops. `dropped` counts the others by the rule's name."""
    async for event in events:
        rule = matching_rule(event, rules)
        if rule is None:
            yield event
        else:
            dropped[rule.name] += 1
