"""What every place for archives promises: one suite for memory, a folder, and S3 (moto's server)."""

from __future__ import annotations

import time

import pytest

from deploy.servers import free_port
from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.settings import RetentionSettings
from retention.objects import FolderObjects, MemoryObjects, ObjectExists, ObjectInfo, ObjectMissing, PutOptions
from tests.moto_server import MotoServer


@pytest.fixture(scope="module")
def moto():
    with MotoServer() as server:
        yield server


@pytest.fixture(params=["memory", "folder", "s3"])
def objects(request, tmp_path, monkeypatch):
    if request.param == "memory":
        return MemoryObjects()
    if request.param == "folder":
        return FolderObjects(tmp_path / "bucket")
    server = request.getfixturevalue("moto")
    server.credentials(monkeypatch.setenv)
    return server.bucket(f"bucket-{time.monotonic_ns()}")


def test_a_file_comes_back_byte_for_byte_and_is_replaced_as_a_whole(objects, tmp_path):
    path = tmp_path / "file"
    for content in (b"x" * 20_000_000, b"short"):
        path.write_bytes(content)
        objects.upload("a/b", path, PutOptions("STANDARD", "AES256"))

        assert content == b"".join(objects.read("a/b"))


def test_only_the_first_of_two_puts_the_new_object(objects):
    objects.put("m", b"first", only_new=True)
    with pytest.raises(ObjectExists):
        objects.put("m", b"second", only_new=True)

    assert b"first" == b"".join(objects.read("m"))


def test_a_listing_has_keys_of_the_prefix_in_order(objects):
    for key in ("p/b", "p/a/c", "q"):
        objects.put(key, key.encode())

    assert [ObjectInfo("p/a/c", 5), ObjectInfo("p/b", 3)] == list(objects.list("p/"))
    assert [] == list(objects.list("none/"))


def test_a_deleted_object_is_missing_and_deleting_it_again_is_no_error(objects):
    objects.put("k", b"1")
    objects.delete("k")
    objects.delete("k")

    with pytest.raises(ObjectMissing, match="k"):
        b"".join(objects.read("k"))


def test_there_is_no_upload_to_abort(objects):
    objects.put("k", b"1")

    assert 0 == objects.abort_uploads("", time.time() + 1000)


def test_an_upload_that_was_never_completed_is_aborted_when_it_is_old(moto, monkeypatch):
    moto.credentials(monkeypatch.setenv)
    objects = moto.bucket("with-orphans")
    objects._client.create_multipart_upload(Bucket="with-orphans", Key="logs/part")

    assert 0 == objects.abort_uploads("logs/", 0.0)  # moto says 2010 of every upload
    assert 1 == objects.abort_uploads("logs/", time.time() + 86_400)
    assert 0 == objects.abort_uploads("logs/", time.time() + 86_400)


def test_a_bucket_that_is_not_there_and_a_server_that_is_away_are_told_apart(moto, monkeypatch):
    from retention.s3 import S3Objects

    moto.credentials(monkeypatch.setenv)
    with pytest.raises(ConfigurationError, match="NoSuchBucket"):
        S3Objects("no-such-bucket", moto.settings).put("k", b"")
    away = RetentionSettings(s3_endpoint_url=f"http://127.0.0.1:{free_port()}", s3_region="us-east-1", s3_attempts=1)
    with pytest.raises(Unavailable, match="s3://b/k"):
        S3Objects("b", away).put("k", b"")


@pytest.mark.parametrize(
    "act",
    [
        lambda objects, path: objects.put("k", b"1"),
        lambda objects, path: objects.upload("k", path),
        lambda objects, path: objects.upload("other", path.with_name("none")),
        lambda objects, path: list(objects.read("k")),
        lambda objects, path: objects.delete("k"),
    ],
    ids=["put", "upload", "upload of a file that is gone", "read", "delete"],
)
def test_what_the_disk_of_a_folder_refuses_is_a_store_that_cannot_answer_now(act, tmp_path):
    (tmp_path / "bucket" / "k").mkdir(parents=True)
    path = tmp_path / "file"
    path.touch()

    with pytest.raises(Unavailable, match=rf"^{tmp_path / 'bucket'}: .*see that its disk"):
        act(FolderObjects(tmp_path / "bucket"), path)
    assert [] == list((tmp_path / "bucket" / "k").iterdir())
