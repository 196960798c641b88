import errno
import hashlib
import io
import os
import socket
import tarfile

import pytest

from keras_caffe_zoo import progress
from keras_caffe_zoo.weights import download, integrity, transfer
from keras_caffe_zoo.weights.download import WeightsDownloadError, fetch, unpack
from keras_caffe_zoo.weights.manifest import WeightFile

DATA = b"\n\x04tiny" + bytes(range(256)) * 2000
SHA256 = hashlib.sha256(DATA).hexdigest()
SHA1 = hashlib.sha1(DATA).hexdigest()
NAME = "tiny.caffemodel"
QUICK = {"progress": False, "backoff": 0.0, "timeout": 10.0}


def published(*urls, **facts):
    known = {"size": len(DATA), "sha256": SHA256, "sha1": SHA1}
    return WeightFile(NAME, urls, **{**known, **facts})


def no_checksum(*urls):
    return WeightFile(NAME, urls)


def files_in(folder):
    return sorted(p.name for p in folder.rglob("*") if p.suffix != ".lock")


def failure(file, folder, **options):
    with pytest.raises(WeightsDownloadError) as info:
        fetch(file, folder, **{**QUICK, **options})
    assert files_in(folder) == []
    return str(info.value)


def test_the_file_arrives_whole_and_alone(host, tmp_path):
    url = host.serve(NAME, host.body(DATA))
    path = fetch(published(url), tmp_path / "new" / "folder", **QUICK)
    assert path == tmp_path / "new" / "folder" / NAME
    assert path.read_bytes() == DATA
    assert files_in(path.parent) == [NAME]
    assert host.headers[0]["User-Agent"] == transfer.USER_AGENT


def test_the_right_file_is_not_fetched_again(host, tmp_path):
    (tmp_path / NAME).write_bytes(DATA)
    fetch(published(host.url(NAME)), tmp_path, **QUICK)
    assert host.requests == []


def test_a_damaged_file_is_named_and_replaced(host, tmp_path, capsys):
    (tmp_path / NAME).write_bytes(DATA[:-1] + b"x")
    fetch(published(host.serve(NAME, host.body(DATA))), tmp_path, **QUICK)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert f"{tmp_path / NAME} is not the published file" in capsys.readouterr().out


def test_redirects_are_followed(host, tmp_path):
    host.serve("there", host.body(DATA))
    url = host.serve("here", host.redirect(host.url("there")))
    assert fetch(published(url), tmp_path, **QUICK).read_bytes() == DATA


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_redirects_to_other_schemes_are_refused(host, tmp_path, target):
    message = failure(no_checksum(host.serve(NAME, host.redirect(target))), tmp_path)
    assert target in message


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "data:,abc", "/etc/hostname"])
def test_other_schemes_are_refused(tmp_path, url):
    assert "expected a URL of scheme" in failure(no_checksum(url), tmp_path)


def test_after_404_the_next_url_is_tried_at_once(host, tmp_path):
    good = host.serve("good", host.body(DATA))
    fetch(published(host.url("gone"), good), tmp_path, **QUICK)
    assert host.requests == ["/gone", "/good"]


def test_a_passing_server_error_is_tried_again(host, tmp_path):
    url = host.serve(NAME, host.status(503), host.status(503), host.body(DATA))
    assert fetch(published(url), tmp_path, **QUICK).read_bytes() == DATA
    assert len(host.requests) == 3


def test_a_lasting_server_error_is_given_up(host, tmp_path):
    message = failure(published(host.serve(NAME, host.status(503))), tmp_path)
    assert len(host.requests) == 3
    assert "HTTP 503" in message


@pytest.mark.parametrize("name", ["sha256", "sha1", "sha384"])
def test_a_wrong_checksum_is_refused(host, tmp_path, name):
    expected = "0" * {"sha256": 64, "sha1": 40, "sha384": 96}[name]
    facts = {"sha256": None, "sha1": None, name: expected}
    message = failure(published(host.serve(NAME, host.body(DATA)), **facts), tmp_path)
    received = hashlib.new(name, DATA).hexdigest()
    assert f"Expected {name} {expected}; received: {received}" in message


def test_after_a_wrong_checksum_the_next_url_is_tried(host, tmp_path):
    bad = host.serve("bad", host.body(DATA[::-1]))
    good = host.serve("good", host.body(DATA))
    path = fetch(published(bad, good), tmp_path, **QUICK)
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>", b"\n <html>", b"<?xml?>"])
def test_a_web_page_with_status_200_is_refused(host, tmp_path, start):
    page = start + b"<p>404 not found</p>" * 100
    message = failure(no_checksum(host.serve(NAME, host.body(page))), tmp_path)
    assert "web page" in message
    assert len(host.requests) == 1


def test_a_wrong_announced_size_is_refused_before_the_download(host, tmp_path):
    url = host.serve(NAME, host.body(DATA, length=10**12))
    assert f"{10**12} bytes announced" in failure(published(url), tmp_path)


def test_no_more_than_the_published_size_is_written(host, tmp_path):
    url = host.serve(NAME, host.body(DATA + b"x" * 10**6, send_length=False))
    assert f"more than {len(DATA)} bytes" in failure(published(url), tmp_path)


def test_no_more_than_the_cap_is_written_where_no_size_is_known(
    host, tmp_path, monkeypatch
):
    monkeypatch.setattr(integrity, "MAX_BYTES", 1000)
    url = host.serve(NAME, host.body(DATA))
    assert "more than 1000 bytes" in failure(no_checksum(url), tmp_path)


def test_a_file_shorter_than_its_parameters_is_refused(host, tmp_path):
    url = host.serve(NAME, host.body(DATA))
    least = len(DATA) + 1
    message = failure(WeightFile(NAME, (url,), payload_bytes=least), tmp_path)
    assert f"at least {least} bytes" in message


def test_an_empty_answer_is_refused(host, tmp_path):
    assert "0 bytes" in failure(no_checksum(host.serve(NAME, host.body(b""))), tmp_path)


def test_a_dropped_connection_is_tried_again(host, tmp_path):
    dropped = host.body(DATA[: len(DATA) // 2], length=len(DATA))
    url = host.serve(NAME, dropped, host.body(DATA))
    assert fetch(no_checksum(url), tmp_path, **QUICK).read_bytes() == DATA
    assert len(host.requests) == 2


def test_a_connection_that_always_drops_is_given_up(host, tmp_path):
    dropped = host.body(DATA[: len(DATA) // 2], length=len(DATA))
    message = failure(no_checksum(host.serve(NAME, dropped)), tmp_path)
    assert str(len(DATA) // 2) in message
    assert len(host.requests) == 3


def test_a_server_that_stops_sending_times_out(host, tmp_path):
    url = host.serve(NAME, host.stall(DATA))
    message = failure(published(url), tmp_path, timeout=0.2, attempts=1)
    assert "timed out" in message


class FullDisk(io.BytesIO):
    def __init__(self, path, mode):
        super().__init__()
        open(path, mode).close()

    def write(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_and_no_other_url_is_tried(host, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "open", FullDisk, raising=False)
    urls = host.serve("one", host.body(DATA)), host.serve("two", host.body(DATA))
    message = failure(published(*urls), tmp_path)
    assert "No space left on device" in message
    assert str(tmp_path) in message
    assert host.requests == ["/one"]


def test_a_missing_permission_is_said(host, tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(transfer, "open", refuse, raising=False)
    message = failure(published(host.serve(NAME, host.body(DATA))), tmp_path)
    assert "Permission denied" in message
    assert "KERAS_CAFFE_ZOO_HOME" in message


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WeightsDownloadError, match="Could not store files in"):
        fetch(published("http://127.0.0.1:9/x"), tmp_path / "file" / "sub", **QUICK)


@pytest.mark.parametrize("kind", ["directory", "file URL", "http URL"])
def test_the_mirror_is_asked_first(host, tmp_path, monkeypatch, kind):
    mirror = tmp_path / "a mirror"
    mirror.mkdir()
    (mirror / NAME).write_bytes(DATA)
    host.serve(f"mirror/{NAME}", host.body(DATA))
    prefixes = {
        "directory": str(mirror),
        "file URL": mirror.as_uri() + "/",
        "http URL": host.url("mirror"),
    }
    monkeypatch.setenv("KERAS_CAFFE_ZOO_MIRROR", prefixes[kind])
    path = fetch(published(host.url("published")), tmp_path / "cache", **QUICK)
    assert path.read_bytes() == DATA
    assert "/published" not in host.requests
    assert (mirror / NAME).read_bytes() == DATA


@pytest.mark.parametrize("content", [None, b"wrong"])
def test_a_mirror_without_the_right_file_is_passed_over(host, tmp_path, content):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    if content:
        (mirror / NAME).write_bytes(content)
    url = host.serve(NAME, host.body(DATA))
    path = fetch(published(url), tmp_path / "cache", mirror=str(mirror), **QUICK)
    assert path.read_bytes() == DATA


def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_offline_the_error_says_everything_needed(tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    port = closed_port()
    urls = f"http://127.0.0.1:{port}/a", f"http://127.0.0.1:{port}/b"
    message = failure(
        published(*urls), tmp_path, model="tiny", mirror="/nope", backoff=0.5
    )
    for url in (f"file:///nope/{NAME}", *urls):
        assert f"\n  {url}: " in message
    assert f"\n  keras-caffe-zoo install tiny {NAME}\n" in message
    assert f"{len(DATA)} bytes, sha256 {SHA256}, sha1 {SHA1}" in message
    assert waits == [0.5, 1.0, 0.5, 1.0]  # none for the mirror's missing file


def test_a_failed_check_moves_on_to_the_next_url(host, tmp_path):
    def check(path):
        if path.read_bytes() != DATA:
            raise ValueError("Expected layer 'conv1'; received: nothing")

    bad = host.serve("bad", host.body(DATA[::-1]))
    file = no_checksum(bad, host.serve("good", host.body(DATA)))
    assert fetch(file, tmp_path, check=check, **QUICK).read_bytes() == DATA
    message = failure(no_checksum(bad), tmp_path / "other", check=check)
    assert "Expected layer 'conv1'; received: nothing" in message


def archive_of(*members):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.linkname = "/etc/hostname"
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def packed(*urls):
    return WeightFile(
        NAME, urls, len(DATA), sha256=SHA256, archive="nets.tar.gz", member=NAME
    )


HOSTILE = archive_of(
    ("../evil", tarfile.REGTYPE, b"evil"),
    (f"nets/{NAME}", tarfile.SYMTYPE, b""),
    ("/tmp/evil", tarfile.REGTYPE, b"evil"),
    (f"nets/sub/../../{NAME}", tarfile.REGTYPE, DATA),
)


def test_only_the_named_member_leaves_an_archive(host, tmp_path):
    folder = tmp_path / "deep" / "cache"
    path = fetch(packed(host.serve("n", host.body(HOSTILE))), folder, **QUICK)
    assert path.read_bytes() == DATA
    assert files_in(tmp_path) == ["cache", "deep", NAME]


def test_a_mirror_may_hold_the_archive_or_the_file(tmp_path):
    (tmp_path / "nets.tar.gz").write_bytes(HOSTILE)
    fetch(packed(), tmp_path / "one", mirror=str(tmp_path), **QUICK)
    (tmp_path / "nets.tar.gz").unlink()
    (tmp_path / NAME).write_bytes(DATA)
    fetch(packed(), tmp_path / "two", mirror=str(tmp_path), **QUICK)
    assert (tmp_path / "one" / NAME).read_bytes() == DATA
    assert (tmp_path / "two" / NAME).read_bytes() == DATA


@pytest.mark.parametrize(
    "content, reason",
    [
        (HOSTILE[: len(HOSTILE) // 2], "damaged archive"),
        (b"not an archive", "damaged archive"),
        (archive_of(("other", tarfile.REGTYPE, b"x")), "has no file"),
        (archive_of((NAME, tarfile.REGTYPE, DATA + b"x")), "more than"),
        (archive_of((NAME, tarfile.REGTYPE, DATA[::-1])), "Expected sha256"),
    ],
)
def test_a_bad_archive_is_refused(host, tmp_path, content, reason):
    assert reason in failure(
        packed(host.serve("n", host.body(content))), tmp_path / "a"
    )
    (tmp_path / "nets.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        unpack(tmp_path / "nets.tar.gz", packed(), tmp_path / "b")
    assert files_in(tmp_path / "b") == []


def test_an_archive_is_checked_before_it_is_opened(host, tmp_path):
    """Where digests of the archive were published, and none of what is in it."""
    digest = hashlib.sha384(HOSTILE).hexdigest()
    archive, url = tmp_path / "nets.tar.gz", host.serve("n", host.body(HOSTILE))
    known = {"archive": archive.name, "member": NAME, "archive_size": len(HOSTILE)}
    good = WeightFile(NAME, (url,), archive_sha384=digest, **known)
    bad = WeightFile(NAME, (url,), archive_sha384=digest[::-1], **known)
    archive.write_bytes(HOSTILE)
    assert fetch(good, tmp_path / "a", **QUICK).read_bytes() == DATA
    assert unpack(archive, good, tmp_path / "b").read_bytes() == DATA
    assert "Expected sha384" in failure(bad, tmp_path / "c")
    with pytest.raises(ValueError, match="nets.tar.gz: Expected sha384"):
        unpack(archive, bad, tmp_path / "d")


def test_progress_says_what_comes_from_where(host, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_is_watched", lambda: True)
    url = host.serve(NAME, host.body(DATA))
    fetch(published(url), tmp_path / "told")
    shown = capsys.readouterr()
    assert f"Downloading {NAME} from {url}" in shown.out
    assert "100%" in shown.err
    fetch(published(url), tmp_path / "quiet", progress=False)
    assert capsys.readouterr() == ("", "")


FETCH = """
from keras_caffe_zoo.weights.download import fetch
from keras_caffe_zoo.weights.manifest import WeightFile
print("ready", flush=True)
path = fetch(WeightFile({name!r}, ({url!r},), sha256={sha!r}), {folder!r},
             progress=False)
print(path.stat().st_size)
"""


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_once_share_one_download(host, tmp_path, start_worker, count):
    url = host.serve(NAME, host.hold(DATA))
    code = FETCH.format(name=NAME, url=url, sha=SHA256, folder=str(tmp_path))
    workers = [start_worker(code) for _ in range(count)]
    host.answer_when_all_wait(workers)
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert (out.strip(), err) == (str(len(DATA)), "")
    assert len(host.requests) == 1
    assert files_in(tmp_path) == [NAME]


@pytest.mark.slow
def test_a_killed_download_is_cleaned_up_by_the_next(host, tmp_path, start_worker):
    url = host.serve(NAME, host.stall(DATA), host.body(DATA))
    code = FETCH.format(name=NAME, url=url, sha=SHA256, folder=str(tmp_path))
    worker = start_worker(code)
    assert host.half_sent.wait(60)
    worker.kill()
    worker.wait()
    assert set(files_in(tmp_path)) <= {f".{NAME}.part"}
    assert fetch(published(url), tmp_path, **QUICK).read_bytes() == DATA
    assert files_in(tmp_path) == [NAME]
