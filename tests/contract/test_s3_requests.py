"""What is asked of S3, and how: looked at on the wire, in front of moto's server."""

from __future__ import annotations

import json
import re
import socket
import urllib.request

import pytest
from boto3.s3.transfer import TransferConfig

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.settings import RetentionSettings
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.objects import ObjectExists, PutOptions
from retention.s3 import S3Objects
from tests.documents import ROOT
from tests.moto_server import MotoServer
from tests.retention import AUTH_TARGET, archiver, documents, fill
from tests.s3_proxy import CUT, ERROR, LOST, OK, SILENT, S3Proxy
from tests.unit.test_retention_archiver import run_once

# The IAM action that allows each request (AWS's table "Actions defined by Amazon S3").
ACTIONS = {
    "list uploads": "s3:ListBucketMultipartUploads",
    "list": "s3:ListBucket",
    "begin upload": "s3:PutObject",
    "upload": "s3:PutObject",
    "complete upload": "s3:PutObject",
    "abort upload": "s3:AbortMultipartUpload",
    "put part": "s3:PutObject",
    "put manifest": "s3:PutObject",
    "get part": "s3:GetObject",
    "get manifest": "s3:GetObject",
    "delete part": "s3:DeleteObject",
}


@pytest.fixture(scope="module")
def moto():
    with MotoServer() as server:
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/logs", method="PUT"), timeout=60).close()
        yield server


@pytest.fixture
def proxy(moto, monkeypatch):
    moto.credentials(monkeypatch.setenv)
    with S3Proxy(moto.url, seconds=3) as one:
        yield one


@pytest.fixture
def multipart(monkeypatch):
    """All files are uploaded in the multipart way."""
    monkeypatch.setattr("retention.s3._TRANSFER", TransferConfig(multipart_threshold=1, use_threads=False))


def opened(url, **settings):
    return S3Objects(
        "logs", RetentionSettings(s3_endpoint_url=url, s3_region="us-east-1", s3_addressing="path", **settings)
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


def test_an_answer_that_does_not_come_is_waited_for_as_long_as_the_setting_says(proxy):
    proxy.fault = lambda _: SILENT

    with pytest.raises(Unavailable, match="s3://logs/k: Read timeout"):
        opened(proxy.url, s3_timeout_seconds=0.2, s3_attempts=1).put("k", b"")


def test_a_connection_that_is_not_taken_is_waited_for_as_long_as_the_setting_says(proxy):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = []
        for _ in range(4):  # Linux takes one or two more than it was told to
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            waiting.append(one)
        try:
            with pytest.raises(Unavailable, match="s3://logs/k: Connect timeout"):
                opened(f"http://127.0.0.1:{port}", s3_connect_timeout_seconds=0.2, s3_attempts=1).put("k", b"")
        finally:
            for one in waiting:
                one.close()


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_request_is_tried_as_often_as_the_setting_says(attempts, proxy):
    proxy.fault = lambda _: ERROR

    with pytest.raises(Unavailable, match="InternalError"):
        opened(proxy.url, s3_attempts=attempts).put("k", b"")

    assert attempts == len(proxy.asked)


def test_one_failure_is_made_good_by_the_next_try(proxy):
    proxy.fault = lambda _: ERROR if len(proxy.asked) == 1 else OK
    objects = opened(proxy.url)
    objects.put("k", b"1")

    assert b"1" == b"".join(objects.read("k"))


def test_what_was_put_and_not_answered_is_there_for_the_next_try_to_find(proxy):
    proxy.fault = lambda _: LOST if len(proxy.asked) == 1 else OK

    with pytest.raises(ObjectExists):
        opened(proxy.url).put("answer-lost/manifest.json", b"1", only_new=True)


def test_an_object_of_which_half_comes_is_no_object(proxy):
    objects = opened(proxy.url, s3_attempts=1)
    objects.put("k", b"x" * 5_000_000)
    proxy.fault = lambda _: CUT

    with pytest.raises(Unavailable, match="s3://logs/k"):
        b"".join(objects.read("k"))


@pytest.mark.parametrize(
    ("setting", "there"), [("when_supported", {"put manifest", "begin upload", "upload"}), ("when_required", set())]
)
def test_the_newer_checksums_are_sent_only_to_stores_that_know_them(setting, there, proxy, multipart, file):
    objects = opened(proxy.url, s3_checksums=setting)
    objects.put("a/manifest.json", b"1")
    objects.upload("a/part", file)
    objects.read("a/part")
    with_checksum = {one.kind for one in proxy.asked if any("x-amz-checksum" in name for name in one.headers)}

    assert there == {kind for kind in with_checksum if not kind.startswith("get")}
    assert (setting == "when_supported") == ("get part" in with_checksum)


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        (PutOptions(), {}),
        (PutOptions("STANDARD_IA"), {"x-amz-storage-class": "STANDARD_IA"}),
        (PutOptions(encryption="AES256"), {"x-amz-server-side-encryption": "AES256"}),
        (
            PutOptions("GLACIER_IR", "aws:kms", "key-1"),
            {
                "x-amz-storage-class": "GLACIER_IR",
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
            },
        ),
    ],
    ids=["plain", "storage class", "SSE-S3", "SSE-KMS"],
)
def test_storage_class_and_encryption_are_asked_for_of_parts_and_manifests(options, headers, proxy, multipart, file):
    objects = opened(proxy.url)
    objects.put("a/manifest.json", b"1", options)
    objects.upload("a/part", file, options)
    asked = {
        one.kind: {
            name: value
            for name, value in one.headers.items()
            if name.startswith(("x-amz-storage", "x-amz-server-side"))
        }
        for one in proxy.asked
    }

    assert {"put manifest": headers, "begin upload": headers} == {
        kind: asked[kind] for kind in ("put manifest", "begin upload")
    }


def _key_id(proxy):
    found = re.search(r"Credential=([^/]+)/", proxy.asked[-1].headers["authorization"])
    assert found is not None
    return found[1]


def test_credentials_come_from_the_environment(proxy, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    opened(proxy.url).put("k", b"")

    assert "from-environment" == _key_id(proxy)


def test_credentials_come_from_a_profile(proxy, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text("[ops]\naws_access_key_id = from-profile\naws_secret_access_key = s\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_PROFILE", "ops")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    opened(proxy.url).put("k", b"")

    assert "from-profile" == _key_id(proxy)


def test_without_credentials_the_operator_is_told_where_they_come_from(proxy, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ConfigurationError, match="no credentials: give them to the SDK"):
        opened(proxy.url).put("k", b"")

    assert [] == proxy.asked


def test_no_setting_takes_a_key():
    names = set(RetentionSettings.model_fields)

    assert not [name for name in names if "secret" in name or "access_key" in name or "token" in name]


async def test_the_policy_of_the_documents_allows_what_is_asked_and_no_more(proxy, multipart, tmp_path):
    store = MemoryStore()
    await fill(Store(store, store, store), documents(50, AUTH_TARGET, "auth"))
    objects = opened(proxy.url, s3_attempts=1)
    objects.put("archive/auth/2026/11/24/logsync-auth-2026.11.24-000001/part-left", b"")
    proxy.fault = lambda asked: ERROR if asked.kind == "upload" else OK
    await run_once(archiver(store, objects, tmp_path))  # its upload is aborted
    proxy.fault = lambda _: OK
    await run_once(archiver(store, objects, tmp_path))
    list(objects.list("archive/"))
    used = {ACTIONS[kind] for kind in proxy.kinds()}
    said = re.search(r'```json\n(\{"Version".*?)```', (ROOT / "docs/retention.md").read_text(), re.S)
    assert said is not None
    statements = json.loads(said[1])["Statement"]

    assert used == {action for statement in statements for action in statement["Action"]}
