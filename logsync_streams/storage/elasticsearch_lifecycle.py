"""Whether Elasticsearch itself would delete our indices: an ILM policy with a delete phase knows nothing of archives.

Asked are the indices that there are, and what the templates would make of a new one. A server without ILM (the small
and the OSS builds, OpenSearch) has none to ask about.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from logsync_streams.errors import ConfigurationError
from logsync_streams.storage.elasticsearch_client import Answer, Connection
from logsync_streams.storage.naming import ALL_INDICES, DEFAULT_DATASET, IndexName

_ANY_DAY = date(2000, 1, 1)  # templates go by names; every day's is alike
_NAME = "index.lifecycle.name"
_NO_INDICES = frozenset({404})
_NOT_KNOWN = frozenset({400, 404, 405})  # the server has no such request
_NOT_ALLOWED = frozenset({401, 403})
_MOST_NAMED = 3


async def refuse_deletion(connection: Connection, datasets: Iterable[str] = (DEFAULT_DATASET,)) -> None:
    """Raises ConfigurationError when a policy with a delete phase owns an index of ours, or would own one of these
    datasets that is made; when an index has a policy that we may not read, too. Unavailable.
    """
    owned: dict[str, list[str]] = {}  # policy -> what it owns
    for index, policy in sorted((await _of_indices(connection)).items()):
        owned.setdefault(policy, []).append(index)
    for dataset in sorted(set(datasets)):
        index = str(IndexName(dataset, _ANY_DAY, 1))
        policy = await _of_a_new_one(connection, index)
        if policy:
            owned.setdefault(policy, []).append(f"every new index of the dataset {dataset!r} (by a template)")
    if not owned:
        return
    answer = await connection.ask("GET", "/_ilm/policy", allowed=_NOT_KNOWN | _NOT_ALLOWED)
    if answer.status in _NOT_KNOWN:
        return  # without ILM the setting does nothing
    problems = [_problem(policy, names, answer) for policy, names in owned.items()]
    if any(problems):
        raise ConfigurationError([problem for problem in problems if problem])


def _problem(policy: str, names: list[str], answer: Answer) -> str:
    owned = ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else "")
    remedy = (
        f"take index.lifecycle.name out of the index template (or out of logsync-custom) and of the index (POST "
        f"/{ALL_INDICES}/_ilm/remove), or the delete phase out of the policy"
    )
    if answer.status in _NOT_ALLOWED:
        return (
            f"the ILM policy {policy!r} owns {owned} and may not be read (status {answer.status}), so whether it "
            f"deletes logs that LogSync keeps is not known: grant the privilege read_ilm, or {remedy}"
        )
    phases: Any = answer.body.get(policy, {}).get("policy", {}).get("phases", {})
    if "delete" not in phases:
        return ""
    return (
        f"the ILM policy {policy!r} owns {owned} and has a delete phase: it would delete logs before their time and "
        f"without an archive, which is LogSync's own retention to decide: {remedy}"
    )


async def _of_indices(connection: Connection) -> dict[str, str]:
    """Index -> policy, of those that have one."""
    params = {"flat_settings": "true", "ignore_unavailable": "true", "allow_no_indices": "true"}
    answer = await connection.ask("GET", f"/{ALL_INDICES}/_settings/{_NAME}", params=params, allowed=_NO_INDICES)
    if answer.status in _NO_INDICES:
        return {}
    found = {index: one.get("settings", {}).get(_NAME, "") for index, one in answer.body.items()}
    return {index: policy for index, policy in found.items() if policy}


async def _of_a_new_one(connection: Connection, index: str) -> str:
    """The policy that the templates would give an index of this name, "" for none."""
    path = f"/_index_template/_simulate_index/{index}"
    answer = await connection.ask("POST", path, allowed=_NOT_KNOWN | _NOT_ALLOWED)
    if answer.status in _NOT_KNOWN | _NOT_ALLOWED:
        return ""
    settings: Any = answer.body.get("template", {}).get("settings", {}).get("index", {})
    return str(settings.get("lifecycle", {}).get("name", ""))
