"""Every knob once: name, default, unit, help. configuration.py reads them."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "LOGSYNC_"


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaSeparated = Annotated[list[str], NoDecode, BeforeValidator(_split)]
_MAY_HOLD_SECRET = object()  # an annotation: what somebody wrote there by mistake is never quoted
Port = Annotated[int, Field(ge=0, le=65535)]


def _loopback(host: str) -> str:
    # Without authentication nothing may listen where others can reach it (DESIGN: secure by default).
    if host != "localhost":
        try:
            loopback = ipaddress.ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError(
                "a loopback address is expected (127.0.0.1, ::1 or localhost): there is no authentication yet, so "
                "listening elsewhere is refused; put a proxy that authenticates in front"
            )
    return host


LoopbackHost = Annotated[str, BeforeValidator(_loopback)]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def is_quotable(info: FieldInfo) -> bool:
    """Whether a message may quote what was given for this setting: it is no secret, and nobody writes one into it."""
    secret = SecretStr in (info.annotation, *get_args(info.annotation))
    return not secret and _MAY_HOLD_SECRET not in info.metadata


class KafkaSettings(Group):
    bootstrap: CommaSeparated = Field(["127.0.0.1:9092"], description="brokers to ask first, host:port, by commas")
    raw_topics: CommaSeparated = Field(
        ["logs"], description="raw topics; the first is ours, further ones belong to other producers"
    )
    partitions: int = Field(4, ge=1, le=1000, description="partitions of each topic we create")
    replication_factor: int = Field(3, ge=1, le=10, description="copies of each topic we create; 1 on a single broker")
    min_insync_replicas: int = Field(2, ge=1, le=10, description="copies that must have a record before it counts")
    raw_retention_days: int = Field(3, ge=1, le=365, description="days that raw and enriched records are kept")
    session_timeout_seconds: float = Field(30, ge=6, le=90, description="a silent worker's partitions move after this")
    stall_timeout_seconds: float = Field(
        300,
        ge=5,
        le=86_400,
        description="a worker with work and no progress ends itself after this, or twice the store's time to answer",
    )
    commit_interval_seconds: float = Field(1.0, gt=0, le=60, description="how often offsets are committed")
    linger_ms: int = Field(20, ge=0, le=1000, description="how long a producer waits to fill a batch")
    compression: Literal["none", "lz4", "zstd", "gzip"] = Field("zstd", description="compression of what we produce")
    allow_create_time: bool = Field(
        False, description="accept foreign raw topics with producer timestamps (receive times are then the sender's)"
    )
    embedded: bool = Field(
        False, description="the broker is the embedded one: memory only, no idempotent producer, state kept in a file"
    )

    @field_validator("min_insync_replicas")
    @classmethod
    def _can_be_in_sync(cls, number: int, info: ValidationInfo) -> int:
        copies = info.data.get("replication_factor", number)
        if number > copies:  # every write that waits for all of them would fail
            raise ValueError(f"at most LOGSYNC_KAFKA__REPLICATION_FACTOR ({copies}) is expected")
        return number


class CollectorSettings(Group):
    doors: Annotated[
        list[Literal["syslog-udp", "syslog-tcp", "syslog-tls", "forward"]], NoDecode, BeforeValidator(_split)
    ] = Field(
        ["syslog-udp", "syslog-tcp", "syslog-tls", "forward"],
        description="doors to open beside HTTP; syslog-tls needs a certificate, and stays closed without one",
    )
    http_host: LoopbackHost = Field("127.0.0.1", description="address of the HTTP door")
    http_port: Port = Field(8081, description="port of the HTTP door; 0 = any free one")
    syslog_host: LoopbackHost = Field("127.0.0.1", description="address of the syslog doors")
    syslog_udp_port: Port = Field(5514, description="port of the syslog UDP door")
    syslog_tcp_port: Port | None = Field(None, description="port of the syslog TCP door; default: the UDP door's")
    syslog_tls_port: Port = Field(6514, description="port of the syslog TLS door; 0 = any free one")
    forward_host: LoopbackHost = Field("127.0.0.1", description="address of the Fluent forward door")
    forward_port: Port = Field(24224, description="port of the Fluent forward door; 0 = any free one")
    forward_shared_key: SecretStr | None = Field(None, description="shared key of forward; better: the file")
    forward_shared_key_file: Path | None = Field(None, description="file that holds forward's shared key")
    forward_tls: bool = Field(False, description="forward speaks TLS, with the certificate below")
    forward_hostname: str = Field("logsync", min_length=1, description="name that forward gives in its handshake")
    fluentd_tag_header: str = Field("X-Fluent-Tag", min_length=1, description="header with a Fluentd request's tag")
    tls_certificate_file: Path | None = Field(None, description="certificate chain (PEM) of the TLS doors")
    tls_key_file: Path | None = Field(None, description="its private key (PEM), when not in the same file")
    tls_client_ca_file: Path | None = Field(
        None, description="CA (PEM) of the senders: when set, only senders with a certificate of it are let in"
    )
    syslog_time_zone: str = Field(
        "UTC", description="zone (as Europe/Berlin) of syslog times that have none, as those of RFC 3164"
    )
    udp_receive_buffer_bytes: int = Field(4 * 1024 * 1024, ge=65536, description="SO_RCVBUF asked for")
    max_body_bytes: int = Field(10 * 1024 * 1024, ge=1024, description="a request's body, as sent and decompressed")
    max_event_bytes: int = Field(
        256 * 1024 - 4096,
        ge=1024,
        le=256 * 1024 - 4096,
        description="one event; longer is refused, or cut and counted where nobody can be told",
    )
    max_header_bytes: int = Field(32 * 1024, ge=1024, le=1024 * 1024, description="a request's line and headers")
    max_request_events: int = Field(100_000, ge=1, le=100_000, description="events in one request")
    max_waiting_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, description="bytes waiting for Kafka before the doors push back"
    )
    max_receiving_bytes: int = Field(
        128 * 1024 * 1024,
        ge=1024 * 1024,
        description="bytes of requests, frames and messages that are being received, of all senders together",
    )
    max_connections: int = Field(2000, ge=1, le=100_000, description="connections to all TCP doors together")
    max_connections_per_address: int = Field(1000, ge=1, le=100_000, description="connections from one address")
    rate_limit_events_per_second: float = Field(
        0, ge=0, description="events a second from one address to the HTTP doors before a 429; 0 = no limit"
    )
    rate_limit_burst_events: int = Field(10_000, ge=1, description="events that may come at once under the rate limit")
    publish_timeout_seconds: float = Field(4, gt=0, le=120, description="Kafka's time to answer before a 503")
    stop_timeout_seconds: float = Field(10, gt=0, le=60, description="time at stop to hand over what was accepted")
    header_timeout_seconds: float = Field(
        10, gt=0, le=300, description="a sender's time for a request's headers or a handshake"
    )
    receive_timeout_seconds: float = Field(
        20, gt=0, le=300, description="a sender's time to send a request's body, a frame or a message that it began"
    )
    min_receive_bytes_per_second: int = Field(
        512, ge=0, description="a body that comes more slowly for five seconds is given up; 0 = no least rate"
    )
    keep_alive_seconds: int = Field(20, ge=1, le=3600, description="how long an idle HTTP connection is kept")
    multiline_wait_ms: int = Field(
        100, ge=0, le=5000, description="how long a syslog line waits for its stack trace to go on; 0 = no joining"
    )
    multiline_max_bytes: int = Field(
        64 * 1024, ge=1024, le=256 * 1024 - 4096, description="a joined stack trace; what comes after begins anew"
    )
    multiline_start: str | None = Field(
        None,
        description="a regular expression of your own for the first line of an event; lines that it does not match "
        "go on with the event before",
    )
    status_file: Path | None = Field(None, description="file that gets the final /status (JSON) at stop")

    @field_validator("syslog_time_zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            raise ValueError("a time zone's name, as Europe/Berlin, is expected that this machine knows") from error
        return name

    @field_validator("multiline_start")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern.encode())
            except re.error as error:
                raise ValueError(f"no regular expression: {error}") from error
        return pattern

    @property
    def tcp_port(self) -> int:
        """The port of the syslog TCP door."""
        return self.syslog_udp_port if self.syslog_tcp_port is None else self.syslog_tcp_port


class FilterRule(Group):
    """Drop every event that has all the named values."""

    name: str = Field(min_length=1, max_length=64, description="the rule's name, the `reason` of log_dropped_total")
    level: str | None = Field(None, description="canonical level the event must have")
    environment: str | None = Field(None, description="service.environment the event must have")
    service: str | None = Field(None, description="service.name the event must have")


SecretKind = Literal[
    "private_key", "jwt", "aws_key", "provider_token", "bearer", "url_password", "keys", "card", "email"
]


class ProcessSettings(Group):
    filter_rules: list[FilterRule] = Field(
        [FilterRule(name="debug_in_production", level="debug", environment="production")],
        description="what is dropped (and counted); JSON in the environment",
    )
    filter_file: Path | None = Field(
        None, description="filter rules (YAML): drop, keep, sample, route; in place of filter_rules"
    )
    redact: Annotated[list[SecretKind], NoDecode, BeforeValidator(_split)] = Field(
        ["private_key", "jwt", "aws_key", "provider_token", "bearer", "url_password", "keys", "card"],
        description="secrets that are masked before anything leaves `process`; there is `email`, too; empty = none",
    )
    redact_keys: CommaSeparated = Field([], description="further names whose values are secrets, beside password, …")
    redact_hash_key_file: Path | None = Field(
        None, description="file with a random key: secrets become a keyed hash, the same for the same value"
    )
    catalogue_file: Path | None = Field(
        None, description="service catalogue (YAML): owner, team, tier by service; read again when it changes"
    )
    hosts_file: Path | None = Field(
        None, description="facts of hosts (YAML): cloud.region, host.os.name, … by host; read again when it changes"
    )
    messages_file: Path | None = Field(
        None, description="parsers of messages by service (YAML): json, logfmt, key_value, grok"
    )
    geo: bool = Field(False, description="add where a public source.ip is, and name private ones; extra [geo]")
    geo_city_file: Path | None = Field(
        None, description="MaxMind database of cities or countries; without it, the country of the registries' data"
    )
    geo_asn_file: Path | None = Field(None, description="MaxMind database of autonomous systems")
    user_agent: bool = Field(False, description="take user_agent.original apart; extra [useragent]")
    keep_original: bool = Field(True, description="keep the bytes as received in event.original (not indexed)")
    max_enriched_bytes: int = Field(
        1024 * 1024, ge=65536, le=7 * 1024 * 1024, description="a record of logs-enriched is split above this"
    )
    drain_timeout_seconds: float = Field(5, gt=0, le=60, description="time a batch has to end at stop or rebalance")


class IndexSettings(Group):
    bulk_bytes: int = Field(5 * 1024 * 1024, ge=65536, le=80 * 1024 * 1024, description="one bulk request at most")
    bulk_documents: int = Field(2000, ge=1, le=100_000, description="documents in one bulk request at most")
    bulks_in_flight: int = Field(
        2, ge=1, le=32, description="bulk requests under way at most; fewer while the store is overloaded"
    )
    retry_first_seconds: float = Field(0.1, gt=0, description="first pause after a refusal; doubled, with full jitter")
    retry_longest_seconds: float = Field(10, gt=0, le=300, description="longest pause between retries")
    poison_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="a batch of 20 or more with more than this share of poison is held, not dead-lettered",
    )


def _without_secret(url: str, instead: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    if "@" in url:
        raise ValueError(f"no user:password@ in a URL: {instead}")


class StoreSettings(Group):
    kind: Literal["elasticsearch", "embedded"] = Field("elasticsearch", description="where logs are kept")
    elasticsearch_urls: Annotated[CommaSeparated, _MAY_HOLD_SECRET] = Field(
        ["http://127.0.0.1:9200"], description="nodes, without user:password@"
    )
    username: str | None = Field(None, description="Elasticsearch user")
    password: SecretStr | None = Field(None, description="Elasticsearch password; better: password_file")
    password_file: Path | None = Field(None, description="file that holds the Elasticsearch password")
    ca_file: Path | None = Field(None, description="CA certificate for https URLs")
    request_timeout_seconds: float = Field(30, gt=0, le=300, description="a request's time to answer")
    shards: int = Field(1, ge=1, le=100, description="primary shards of a day's index")
    replicas: int = Field(1, ge=0, le=10, description="replicas of a day's index; 0 on a single node")
    refresh_interval_seconds: int = Field(1, ge=1, le=300, description="how soon a stored log can be found")

    @field_validator("elasticsearch_urls")
    @classmethod
    def _no_secret_in_url(cls, urls: list[str]) -> list[str]:
        for url in urls:
            _without_secret(url, "use store.username and store.password_file")
        return urls


class QueryHttpSettings(Group):
    enabled: bool = Field(True, description="run the query API beside the worker")
    host: LoopbackHost = Field("127.0.0.1", description="address of the query API and the page")
    port: Port = Field(8082, description="port of the query API and the page")
    allowed_hosts: CommaSeparated = Field(
        ["localhost", "127.0.0.1", "::1"],
        description="names in the Host header that are answered (without port); add a proxy's, or * for any",
    )
    max_query_bytes: int = Field(2048, ge=64, le=65536, description="length of a query text")
    max_clauses: int = Field(64, ge=1, le=1024, description="words, phrases and fields in one query")
    max_hits: int = Field(1000, ge=1, le=10_000, description="hits on one page")
    timeout_seconds: float = Field(10, gt=0, le=120, description="the store's time to answer a search")
    max_range_days: int | None = Field(
        None, ge=1, description="longest time range of a search, in days; unset = as long as you like"
    )
    max_buckets: int = Field(500, ge=1, le=2000, description="intervals in one histogram")
    max_facet_fields: int = Field(20, ge=1, le=100, description="fields in one request for facets")
    max_context: int = Field(200, ge=1, le=1000, description="logs before, and after, the one whose context is shown")
    max_export_logs: int = Field(10_000_000, ge=1, description="logs in one export")
    max_concurrent_per_client: int = Field(16, ge=1, le=1000, description="requests to the store under way, an address")
    max_tails: int = Field(500, ge=1, le=10_000, description="live tails at a time, of all clients together")
    max_tails_per_client: int = Field(20, ge=1, le=10_000, description="live tails at a time, an address")
    max_tail_waiting_logs: int = Field(
        500, ge=1, le=100_000, description="logs that wait for a slow tail client; older ones are skipped and counted"
    )
    max_saved_searches: int = Field(200, ge=0, le=10_000, description="searches saved under a name")


class WebSettings(Group):
    host: LoopbackHost = Field("127.0.0.1", description="address of the Faust web views and /metrics")
    port: Port = Field(6066, description="port of the Faust web views and /metrics")
    max_services: int = Field(200, ge=1, le=10_000, description="service label values; the rest counts as _other")


class DeadLetterSettings(Group):
    max_attempts: int = Field(
        5, ge=1, le=1000, description="a dead letter that failed so often is not replayed any more"
    )


class RetentionSettings(Group):
    policies_file: Path | None = Field(
        None, description="retention policies (JSON); unset = all logs are dropped after 7 days, without an archive"
    )
    archive_folder: Path | None = Field(
        None, description="local folder in place of S3: a bucket is a folder in it; to try it, or a mounted share"
    )
    s3_endpoint_url: Annotated[str | None, _MAY_HOLD_SECRET] = Field(
        None, description="of a store compatible with S3; unset = AWS"
    )
    s3_region: str | None = Field(None, description="region; unset = what the SDK finds")
    s3_addressing: Literal["auto", "path", "virtual"] = Field("auto", description="how a bucket is named in requests")
    s3_checksums: Literal["when_supported", "when_required"] = Field(
        "when_supported", description="the SDK's checksums; when_required for stores that do not know the newer ones"
    )
    s3_connect_timeout_seconds: float = Field(10, gt=0, le=120, description="time that a connection to S3 may take")
    s3_timeout_seconds: float = Field(60, gt=0, le=600, description="a request's time to answer")
    s3_attempts: int = Field(5, ge=1, le=20, description="tries of one request to S3")
    part_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, le=1024 * 1024 * 1024, description="an archive's part, before compression"
    )
    grace_hours: float = Field(24, ge=0, le=8760, description="time between a verified archive and the drop")
    interval_hours: float = Field(6, gt=0, le=168, description="how often `logsync retention serve` runs")
    lease_seconds: float = Field(
        600, ge=10, le=86_400, description="another process waits no longer for one that died at work"
    )
    max_drop_factor: float = Field(
        3, ge=1, description="a run that would drop so many times the most of the seven before is refused"
    )
    drop_guard_documents: int = Field(
        100_000, ge=0, description="fewer documents than this may always be dropped when they are due"
    )
    metrics_host: LoopbackHost = Field("127.0.0.1", description="address of the metrics of `logsync retention serve`")
    metrics_port: Port = Field(8083, description="port of the metrics of `logsync retention serve`")
    restored_days: int = Field(7, ge=1, le=3650, description="days that restored logs are kept")
    erased_ids_days: int = Field(
        14,
        ge=1,
        le=3650,
        description="days that erased ids are refused: raw_retention_days, the broker's segment.ms (a week) and a day",
    )
    max_erased_ids: int = Field(
        250_000, ge=1, le=5_000_000, description="erased ids that are refused at a time; 150 bytes each in every worker"
    )

    @field_validator("s3_endpoint_url")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        if url is not None:
            _without_secret(url, "the SDK finds its credentials (AWS_PROFILE, a role, the environment)")
        return url


class Settings(BaseSettings):
    """All settings of one process, checked and frozen."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    roles: Annotated[list[Literal["process", "index", "count"]], NoDecode, BeforeValidator(_split)] = Field(
        ["process", "index", "count"], min_length=1, description="what this worker runs; the first owns the web"
    )
    data_dir: Path = Field(Path(".logsync"), description="folder for what must outlive a restart (embedded store, …)")
    log_format: Literal["console", "json"] = Field("console", description="form of our own log lines")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level of our own logs")
    kafka: KafkaSettings = KafkaSettings()
    collector: CollectorSettings = CollectorSettings()
    process: ProcessSettings = ProcessSettings()
    index: IndexSettings = IndexSettings()
    store: StoreSettings = StoreSettings()
    query: QueryHttpSettings = QueryHttpSettings()
    web: WebSettings = WebSettings()
    retention: RetentionSettings = RetentionSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # What `load` read from the file is passed as init values; the environment wins over it.
        return env_settings, init_settings
