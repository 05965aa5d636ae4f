"""The stand-in's administrative side: just enough for our IndexAdmin, and for the health checks of others.

Objects that were put can be got, an index brings its aliases along. Nothing is checked, nothing but that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson

VERSION = "8.19.8"

Answer = tuple[int, Any]  # HTTP status, JSON body


@dataclass(slots=True)
class Cluster:
    """objects: by path, as put. aliases: alias -> the index behind it."""

    objects: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def __call__(self, method: str, path: str, body: bytes) -> Answer:
        """path: without a query and without a slash at its end."""
        name = unquote(path.strip("/"))
        first, _, rest = name.partition("/")
        if name in ("", "_nodes/_local"):
            about = {"version": {"number": VERSION, "build_flavor": "default"}, "tagline": "You Know, for Search"}
            return 200, {"nodes": {"standin": {"version": VERSION, "build_flavor": "default"}}} if name else about
        if name.startswith(("_cluster/health", "_cat/health")):
            return 200, {"status": "green", "timed_out": False}
        if rest.startswith("_stats"):
            return 200, {"indices": {index: {"primaries": {"docs": {"count": 0}}} for index in self._indices()}}
        if rest.startswith("_settings") and method == "GET":
            return 200, {index: {"settings": {}} for index in self._indices()}
        if first == "_alias" or rest.startswith("_alias"):
            before, _, alias = name.rpartition("_alias")
            return self._alias(before.strip("/"), alias.strip("/"))
        if method == "PUT" and not rest.startswith("_"):
            return self._put(name, orjson.loads(body) if body else {})
        if method in ("GET", "HEAD") and not name.startswith("_cat"):
            return self._get(name)
        return 200, {"acknowledged": True}

    def _indices(self) -> list[str]:
        return [name for name in self.objects if "/" not in name]

    def _put(self, name: str, body: dict[str, Any]) -> Answer:
        if name in self._indices():
            reason = {"type": "resource_already_exists_exception", "reason": f"index [{name}] already exists"}
            return 400, {"error": reason, "status": 400}
        self.objects[name] = body
        if "/" not in name:
            self.aliases.update(dict.fromkeys(body.get("aliases", {}), name))
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}

    def _get(self, name: str) -> Answer:
        index = self.aliases.get(name, name)
        if index not in self.objects:
            return 404, {"error": {"type": "resource_not_found_exception", "reason": name}, "status": 404}
        kind, _, key = index.partition("/")
        if kind in ("_component_template", "_index_template"):
            single = kind.removeprefix("_")
            return 200, {f"{single}s": [{"name": key, single: self.objects[index]}]}
        return 200, {index: self.objects[index]}

    def _alias(self, names: str, alias: str) -> Answer:
        """`GET /<names>/_alias/<alias>`: the indices behind these names (aliases or indices) that have this alias."""
        wanted = set(filter(None, names.split(",")))
        found: dict[str, Any] = {
            index: {"aliases": {known: {"is_write_index": True}}}
            for known, index in self.aliases.items()
            if alias in ("", known) and (not wanted or known in wanted or index in wanted)
        }
        return (404 if alias and not found else 200), found
