"""The policy file: its schema, and what is wrong with one, each problem with its path and the value found there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from logsync_streams.errors import ConfigurationError
from logsync_streams.events import canonical_level

Days = Annotated[int, Field(strict=True, ge=1, le=36_500)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PolicyEntry(_Entry):
    """One service's policy, as written in the file."""

    retention_days: Days = Field(description="days that logs are kept after the day on which they were received")
    archive_to_s3: bool = Field(False, strict=True, description="archive and verify before anything is dropped")
    s3_bucket: str = Field("", max_length=255, description="bucket of the archive")
    s3_prefix: str = Field("logsync", pattern=r"^[A-Za-z0-9!_.*'()/-]{1,200}$", description="where in the bucket")
    levels: dict[str, Days] = Field({}, description="days for logs of a level, instead of retention_days")
    environments: dict[str, Days] = Field(
        {}, description="days for logs of an environment, instead; of a level's and an environment's the longer counts"
    )
    legal_hold: bool = Field(False, strict=True, description="never dropped, and never pruned from the archive")
    archive_days: Days | None = Field(
        None, description="days that the archive is kept after the receive day; not given = for ever"
    )
    storage_class: str | None = Field(None, pattern=r"^[A-Z0-9_]{1,64}$", description="of S3, for example STANDARD_IA")
    compression_level: int = Field(3, strict=True, ge=1, le=19, description="of zstd")
    encryption: Literal["AES256", "aws:kms"] | None = Field(None, description="server-side encryption to ask for")
    kms_key_id: str | None = Field(None, max_length=2048, description="the key of aws:kms; not given = the bucket's")

    @field_validator("levels")
    @classmethod
    def _known_levels(cls, levels: dict[str, int]) -> dict[str, int]:
        return {canonical_level(level): days for level, days in levels.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> PolicyEntry:
        if self.archive_to_s3 and not self.s3_bucket:
            raise ValueError("s3_bucket|a bucket's name is expected where archive_to_s3 is true")
        if self.kms_key_id is not None and self.encryption != "aws:kms":
            raise ValueError("kms_key_id|it needs encryption to be aws:kms")
        if self.archive_days is not None and self.archive_days < self.retention_days:
            raise ValueError("archive_days|at least retention_days is expected")
        return self


class PolicyFile(_Entry):
    """The file: services, and `default` for all others."""

    retention_policies: dict[str, PolicyEntry]


def parse_entries(content: Any, where: str) -> dict[str, PolicyEntry]:
    """The entries by service. Raises ConfigurationError naming every path and value that is wrong."""
    if not isinstance(content, dict) or not isinstance(content.get("retention_policies"), dict):
        raise ConfigurationError([f'{where}: an object with "retention_policies" is expected'])
    try:
        return PolicyFile.model_validate(content).retention_policies
    except ValidationError as error:
        raise ConfigurationError([f"{where}: {_problem(one)}" for one in error.errors()]) from error


def read_entries(path: Path) -> dict[str, PolicyEntry]:
    """The entries of a file. Raises ConfigurationError."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError([f"LOGSYNC_RETENTION__POLICIES_FILE: {str(path)!r}: {error.strerror}"]) from error
    except orjson.JSONDecodeError as error:
        raise ConfigurationError([f"LOGSYNC_RETENTION__POLICIES_FILE: {str(path)!r} is not JSON: {error}"]) from error
    return parse_entries(content, str(path))


def json_schema() -> dict[str, Any]:
    """The file's JSON schema, for editors; `retention/config.schema.json` holds it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **PolicyFile.model_json_schema()}


def _problem(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"] if part != "[key]")
    value = detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"{path}: no such key; one of {sorted(PolicyEntry.model_fields)} is expected"
    if detail["type"] == "missing":
        return f"{path}: missing"
    if detail["type"] == "value_error" and "|" in message:  # of two keys together: the one to change is named
        key, _, message = message.partition("|")
        path, value = f"{path}.{key}", value.get(key, "") if isinstance(value, dict) else value
    return f"{path}: {value!r}: {message[:1].lower()}{message[1:]}"
