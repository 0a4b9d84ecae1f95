"""The action `upload`: files that appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import subprocess
import threading
from pathlib import Path
from typing import Iterator, Mapping

import pytest

from conftest import StartDaemon
from harness import ATTACH, SANITIZED, Daemon, conf, until
from rawhttp import Connection, Response, fetch

PATIENT = 'drain_timeout = "1h";'


def routes(top: Path) -> list[str]:
    at = f'action = "upload"; directory = "{top}"; fsync = "none"; max_body_size = "1g"'
    return [
        f'path = "/put/*"; {at}; name = "${{path.rest}}"',
        f'path = "/deep/*"; {at}; name = "${{path.rest}}"; create_directories = true',
        f'path = "/over/{{name}}"; {at}; name = "${{path.name}}"; overwrite = true; mode = "0600"',
        f'path = "/dots/{{name}}"; {at}; name = "${{path.name}}"; dotfiles = true',
        f'path = "/any"; {at}',
        f'path = "/form"; {at}; client_names = true',
        f'path = "/raw"; {at}; multipart = false',
        f'path = "/small"; action = "upload"; directory = "{top}"; max_body_size = 1000',
        f'path = "/sync"; action = "upload"; directory = "{top}"; fsync = "file"',
        f'path = "/get/*"; action = "file"; root = "{top}"',
    ]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top" / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "top" / "out").symlink_to(tmp_path)
    return tmp_path / "top"


@pytest.fixture
def daemon(start: StartDaemon, top: Path) -> Daemon:
    return start(conf(*routes(top), server=f"{PATIENT} body_timeout = 3600;"))


def files(top: Path) -> dict[str, bytes]:
    """All that is there, hidden files too."""
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def put(
    daemon: Daemon, target: str, body: bytes, headers: Mapping[str, str] = {}, method: str = "PUT"
) -> Response:
    return daemon.request(method, target, headers, body)


# --- names and answers ----------------------------------------------------------------------------


def test_a_file_is_created_once(daemon: Daemon, top: Path) -> None:
    response = put(daemon, "/put/a%20b", b"content")
    assert response.status == 201
    assert response.header("Location") == "/put/a%20b"
    assert response.json() == {"name": "a b", "size": 7}
    assert files(top) == {"a b": b"content"}
    assert (top / "a b").stat().st_mode & 0o7777 == 0o640
    response = put(daemon, "/put/a%20b", b"other")
    assert response.status == 409
    assert response.json()["status"] == 409
    assert files(top) == {"a b": b"content"}
    assert daemon.get("/get/a%20b").body == b"content"


def test_a_location_that_nobody_could_use_is_left_out(start: StartDaemon, top: Path) -> None:
    at = f'action = "upload"; directory = "{top}"; fsync = "none"'
    daemon = start(conf(f'path = "/up/*"; {at}'))
    response = daemon.request("POST", "/up/" + '"' * 14000, body=b"hi")
    assert response.status == 201
    assert response.header("Location") is None
    assert files(top)[response.json()["name"]] == b"hi"


def test_a_file_is_replaced(daemon: Daemon, top: Path) -> None:
    assert put(daemon, "/over/x", b"one").status == 201
    response = put(daemon, "/over/x", b"second")
    assert response.status == 200
    assert response.json() == {"name": "x", "size": 6}
    assert files(top) == {"x": b"second"}
    assert (top / "x").stat().st_mode & 0o7777 == 0o600
    assert put(daemon, "/over/sub", b"").status == 409  # a directory


def test_names_are_made_up(daemon: Daemon, top: Path) -> None:
    names = set()
    for method in ("POST", "PUT") * 5:
        response = put(daemon, "/any", b"x", method=method)
        assert response.status == 201
        name = response.json()["name"]
        assert re.fullmatch(r"[0-9a-f]{32}", name)
        assert response.header("Location") == f"/any/{name}"
        names.add(name)
    assert len(names) == 10 and set(files(top)) == names


def test_directories_in_names(daemon: Daemon, top: Path) -> None:
    assert put(daemon, "/put/sub/x", b"1").status == 201
    assert put(daemon, "/put/new/x", b"1").status == 409
    response = put(daemon, "/deep/new/dir/x", b"2")
    assert response.status == 201
    assert response.header("Location") == "/deep/new/dir/x"
    assert put(daemon, "/deep/new/dir/y", b"3").status == 201
    assert put(daemon, "/deep/new/dir/y/z", b"4").status == 409
    assert files(top) == {"sub/x": b"1", "new/dir/x": b"2", "new/dir/y": b"3"}


@pytest.mark.parametrize(
    "target",
    [
        "/put/", "/put/sub/", "/put/.hidden", "/put/sub/.hidden", "/put/..%2f..%2fsecret",
        "/put/../secret", "/put/%2e%2e/secret", "/put/out/secret", "/put/out/new",
        "/deep/out/new", "/deep/out/new/x", "/put/a%00b", "/put/a%0ab", "/put/a%7f",
        "/put/%2fetc%2fnew", "/put/" + "a" * 256, "/deep/" + "a" * 256 + "/x", "/over/.x",
        "/put/sub%2f.x", "/over/..", "/over/%2e%2e%2fsecret", "/dots/..", "/dots/%2e",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(daemon: Daemon, top: Path, target: str) -> None:
    with daemon.connect() as connection:
        connection.send(b"PUT " + target.encode() + b" HTTP/1.1\r\nHost: x\r\n")
        connection.send(b"Content-Length: 1\r\n\r\nx")
        assert connection.read_response().status in (400, 404, 405, 409)
    # Dot segments may lead to another name, never to one above.
    assert set(files(top.parent)) - {"secret"} <= {"daemon0/handoffd.conf", "daemon0/stdout"}
    assert (top.parent / "secret").read_text() == "secret"
    assert set(os.listdir(top)) == {"sub", "out"}


def test_dotfiles_when_asked(daemon: Daemon, top: Path) -> None:
    assert put(daemon, "/dots/.x", b"1").status == 201
    assert files(top) == {".x": b"1"}


def test_preconditions(daemon: Daemon, top: Path) -> None:
    assert put(daemon, "/over/x", b"1", {"If-None-Match": "*"}).status == 201
    assert put(daemon, "/over/x", b"2", {"If-None-Match": "*"}).status == 412
    assert put(daemon, "/over/x", b"2", {"If-Match": '"no"'}).status == 412
    assert put(daemon, "/over/y", b"2", {"If-Match": "*"}).status == 412
    etag = daemon.get("/get/x").header("ETag") or ""
    assert put(daemon, "/over/x", b"2", {"If-Match": etag}).status == 200
    assert put(daemon, "/over/x", b"3", {"If-Match": etag}).status == 412
    assert put(daemon, "/over/x", b"3", {"Content-Range": "bytes 0-0/2"}).status == 400
    assert files(top) == {"x": b"2"}


def test_empty_and_synced_files(daemon: Daemon, top: Path) -> None:
    assert put(daemon, "/put/empty", b"").status == 201
    name = put(daemon, "/sync", b"synced").json()["name"]
    small = put(daemon, "/small", b"x" * 1000).json()["name"]
    assert files(top) == {"empty": b"", name: b"synced", small: b"x" * 1000}


# --- on the way -----------------------------------------------------------------------------------


def begin(daemon: Daemon, target: str, length: int, *fields: str) -> Connection:
    connection = daemon.connect()
    lines = [f"PUT {target} HTTP/1.1", "Host: x", f"Content-Length: {length}", *fields]
    connection.send("\r\n".join(lines).encode() + b"\r\n\r\n")
    return connection


def test_a_body_is_written_as_it_comes(daemon: Daemon, top: Path) -> None:
    connection = begin(daemon, "/put/x", 300_000)
    connection.send(b"a" * 100_000)
    daemon.until_pool(busy=1)
    connection.send(b"b" * 100_000)
    assert files(top) == {}
    connection.send(b"c" * 100_000)
    assert connection.read_response().status == 201
    assert files(top) == {"x": b"a" * 100_000 + b"b" * 100_000 + b"c" * 100_000}


def test_chunks(daemon: Daemon, top: Path) -> None:
    with daemon.connect() as connection:
        connection.send(b"PUT /put/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(100):
            connection.send(b"5\r\n%05d\r\n" % i)
        connection.send(b"0\r\n\r\n")
        assert connection.read_response().status == 201
        assert connection.get("/get/x").body == b"".join(b"%05d" % i for i in range(100))


@pytest.mark.parametrize("leave", ["close", "reset", "finish_sending"])
def test_nothing_is_left_of_a_client_that_leaves(daemon: Daemon, top: Path, leave: str) -> None:
    at_rest = daemon.descriptors_at_rest()
    connections = [begin(daemon, f"/put/x{i}", 1_000_000) for i in range(10)]
    for connection in connections:
        connection.send(b"x" * 500_000)
    daemon.until_pool(busy=10)
    for connection in connections:
        getattr(connection, leave)()
    daemon.until_pool(busy=0, queued=0)
    for connection in connections:
        connection.close()
    daemon.until_descriptors(at_rest)
    assert os.listdir(top / "sub") == [] and files(top) == {}


def test_nothing_is_left_of_what_is_refused(daemon: Daemon, top: Path) -> None:
    with daemon.connect() as connection:
        connection.send(b"PUT /put/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send(b"5\r\nabcde\r\n")
        daemon.until_pool(busy=1)
        connection.send(b"nonsense\r\n")
        assert connection.read_response().status == 400
    with daemon.connect() as connection:
        connection.send(b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send(b"5\r\nabcde\r\n")
        daemon.until_pool(busy=1)
        connection.send(b"3e4\r\n")
        assert connection.read_response().status == 413
    assert put(daemon, "/small", b"x" * 1001, method="POST").status == 413
    daemon.until_pool(busy=0)
    assert files(top) == {}


def test_a_stop_ends_uploads(start: StartDaemon, top: Path) -> None:
    daemon = start(conf(*routes(top), server="drain_timeout = 0;"))
    connection = begin(daemon, "/put/x", 1_000_000)
    connection.send(b"x" * 500_000)
    daemon.until_pool(busy=1)
    daemon.stop()
    assert files(top) == {}


def test_nothing_is_left_when_it_is_killed(daemon: Daemon, top: Path) -> None:
    connection = begin(daemon, "/put/x", 1_000_000)
    connection.send(b"x" * 500_000)
    daemon.until_pool(busy=1)
    daemon.stop(9, expect=-9)  # type: ignore[arg-type]
    # Where the file system knows no files without a name, a hidden one is left.
    try:
        os.close(os.open(top, os.O_TMPFILE | os.O_WRONLY))
    except OSError:
        assert all(re.fullmatch(r"\.handoffd-[0-9a-f]{16}\.part", name) for name in files(top))
    else:
        assert files(top) == {}


def test_what_can_be_refused_early_is(daemon: Daemon, top: Path) -> None:
    put(daemon, "/put/x", b"1")
    for target, status in [("/put/x", 409), ("/put/.x", 400), ("/put/no/x", 409)]:
        with begin(daemon, target, 1000, "Expect: 100-continue") as connection:
            response = connection.read_response()
            assert response.status == status  # and not 100
            assert response.closes
            assert connection.read_eof() == b""
    with begin(daemon, "/put/y", 1, "Expect: 100-continue") as connection:
        assert connection.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"x")
        assert connection.read_response().status == 201


def test_a_hundred_at_once(daemon: Daemon, top: Path) -> None:
    bodies = {f"f{i}": os.urandom(50_000 + i) for i in range(100)}
    answers: list[int] = []

    def upload(name: str, body: bytes) -> None:
        answers.append(fetch(daemon.address(), "PUT", f"/put/{name}", (), body).status)

    threads = [threading.Thread(target=upload, args=item) for item in bodies.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 100
    assert files(top) == bodies


def test_one_name_is_given_once(daemon: Daemon, top: Path) -> None:
    bodies = [b"%04d" % i * 5000 for i in range(30)]
    answers: list[tuple[int, bytes]] = []

    def upload(body: bytes) -> None:
        answers.append((fetch(daemon.address(), "PUT", "/put/x", (), body).status, body))

    threads = [threading.Thread(target=upload, args=[body]) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [201] + [409] * 29
    assert files(top) == {"x": dict(answers)[201]}


def test_a_large_upload_costs_no_memory(daemon: Daemon, top: Path) -> None:
    size = 256 << 20
    block = os.urandom(1 << 20)
    put(daemon, "/put/warm", block)
    before = daemon.resident_bytes()
    digest = hashlib.sha256()
    highest = 0
    with begin(daemon, "/put/large", size) as connection:
        for i in range(size // len(block)):
            connection.send(block)
            digest.update(block)
            if i % 16 == 0:
                highest = max(highest, daemon.resident_bytes())
        assert connection.read_response().json()["size"] == size
    assert SANITIZED or highest - before < 8 << 20
    with (top / "large").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").digest() == digest.digest()


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "handoffd-test", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs to mount a file system")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk(start: StartDaemon, small_disk: Path) -> None:
    daemon = start(conf(*routes(small_disk), server=PATIENT))
    assert put(daemon, "/put/x", b"x" * 500_000).status == 201
    response = put(daemon, "/put/y", b"x" * 800_000)
    assert response.status == 507
    assert response.json()["status"] == 507
    assert files(small_disk) == {"x": b"x" * 500_000}
    assert put(daemon, "/put/y", b"x" * 400_000).status == 201


def test_a_file_size_limit(start: StartDaemon, top: Path) -> None:
    daemon = start(conf(*routes(top), server=PATIENT))
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    assert put(daemon, "/put/x", b"x" * 100_001).status == 507
    assert put(daemon, "/put/y", b"x" * 100_000).status == 201
    assert set(files(top)) == {"y"}


# --- forms ----------------------------------------------------------------------------------------

Part = tuple[str, "str | None", bytes]


def form(*parts: Part) -> bytes:
    text = b""
    for name, filename, content in parts:
        disposition = f'Content-Disposition: form-data; name="{name}"'
        if filename is not None:
            disposition += f'; filename="{filename}"'
        text += b"--XX\r\n" + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
    return text + b"--XX--\r\n"


TYPE = {"Content-Type": "multipart/form-data; boundary=XX"}


def post_form(daemon: Daemon, target: str, *parts: Part) -> Response:
    return put(daemon, target, form(*parts), TYPE, method="POST")


def test_files_of_a_form(daemon: Daemon, top: Path) -> None:
    content = bytes(range(256)) * 1000 + b"\r\n--X\r\n"
    response = post_form(
        daemon,
        "/form",
        ("comment", None, b"no file"),
        ("one", "a.txt", b"one"),
        ("empty", "", b""),
        ("two", "dir/b.bin", content),
    )
    assert response.status == 201
    assert response.json() == [
        {"field": "one", "name": "a.txt", "size": 3},
        {"field": "two", "name": "b.bin", "size": len(content)},
    ]
    assert response.header("Location") is None
    assert files(top) == {"a.txt": b"one", "b.bin": content}
    response = post_form(daemon, "/form", ("x", "c", b"3"))
    assert response.header("Location") == "/form/c"
    response = post_form(daemon, "/any", ("x", "d", b"4"), ("y", "../e", b"5"))
    names = [entry["name"] for entry in response.json()]
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
    assert [(top / name).read_bytes() for name in names] == [b"4", b"5"]
    response = post_form(daemon, "/put/f", ("x", "ignored", b"6"))
    assert response.json()[0]["name"] == "f"


@pytest.mark.parametrize(
    "parts, status",
    [
        ([("x", None, b"1")], 400),
        ([], 400),
        ([("x", "a", b"1"), ("y", ".dot", b"2")], 400),
        ([("x", "a", b"1"), ("y", "..", b"2")], 400),
        ([("x", "a", b"1"), ("y", "dir/", b"2")], 400),
        ([("x", "a", b"1"), ("y", "a%0Ab", b"2")], 400),
        ([("x", "a", b"1"), ("y", "a", b"2")], 409),
        ([("x", "a", b"1"), ("y", "there", b"2")], 409),
        ([("x", f"f{i}", b"") for i in range(33)], 400),
    ],
)
def test_all_files_of_a_form_or_none(
    daemon: Daemon, top: Path, parts: list[Part], status: int
) -> None:
    put(daemon, "/put/there", b"old")
    response = post_form(daemon, "/form", *parts)
    assert response.status == status, response.body
    assert files(top) == {"there": b"old"}


def test_forms_that_are_none(daemon: Daemon, top: Path) -> None:
    whole = form(("x", "a", b"1"))
    for body, headers in [
        (whole[:-8], TYPE),
        (b"nothing", TYPE),
        (whole, {"Content-Type": "multipart/form-data"}),
        (whole.replace(b"name=", b"nome="), TYPE),
    ]:
        response = put(daemon, "/form", body, headers, method="POST")
        assert response.status == 400
        assert response.json()["detail"]
    response = post_form(daemon, "/put/f", ("x", "a", b"1"), ("y", "b", b"2"))
    assert response.status == 400
    assert files(top) == {}
    name = put(daemon, "/raw", whole, TYPE, method="POST").json()["name"]
    assert files(top) == {name: whole}


def test_a_form_from_a_client_that_leaves(daemon: Daemon, top: Path) -> None:
    body = form(("x", "a", b"1" * 100_000), ("y", "b", b"2" * 100_000))
    with daemon.connect() as connection:
        connection.send(
            b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(body)
            + b"Content-Type: multipart/form-data; boundary=XX\r\n\r\n"
        )
        connection.send(body[:150_000])
        daemon.until_pool(busy=1)
    daemon.until_pool(busy=0)
    assert files(top) == {}


def test_a_directory_that_goes_is_the_servers_fault(daemon: Daemon, top: Path) -> None:
    moved = top.with_name("moved")
    top.rename(moved)
    assert put(daemon, "/put/x", b"1").status == 500
    moved.rename(top)
    assert put(daemon, "/put/x", b"1").status == 201
    until(lambda: files(top) == {"x": b"1"})
