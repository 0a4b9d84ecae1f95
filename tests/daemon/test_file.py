"""The action `file`: what it serves, what it never serves, and how it behaves with slow clients."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Iterator
from urllib.parse import urljoin

import pytest

from conftest import Cli, StartDaemon
from harness import ATTACH, EXIT_CONFIG, SANITIZED, Daemon, conf, until
from rawhttp import Connection, Response

SECRET = b"nobody may read this"
TEXT = b"0123456789" * 10
LARGE = 50 << 20


def make_tree(top: Path) -> Path:
    root = top / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / ".hidden").mkdir()
    (root / "list" / "dir").mkdir(parents=True)
    (top / "secret").write_bytes(SECRET)
    (top / "outside").mkdir()
    (top / "outside" / "secret").write_bytes(SECRET)
    (top / "root-secret").write_bytes(SECRET)
    (root / "a.txt").write_bytes(TEXT)
    (root / "b.unknown").write_bytes(b"?")
    (root / "empty.txt").write_bytes(b"")
    (root / "sub" / "index.html").write_bytes(b"<p>index")
    (root / "sub" / "deep" / "page.html").write_bytes(b"<p>page")
    (root / ".hidden" / "file").write_bytes(SECRET)
    (root / ".env").write_bytes(SECRET)
    (root / "sub" / ".env").write_bytes(SECRET)
    (root / "list" / "<b>&'\" x").write_bytes(b"1")
    (root / "list" / "javascript:alert(1)").write_bytes(b"22")
    os.close(os.open(os.fsencode(root / "list") + b"/\xff\x01", os.O_CREAT | os.O_WRONLY))
    (root / "list" / ".dot").write_bytes(b"")
    (root / "inside").symlink_to("a.txt")
    (root / "inside-dir").symlink_to("sub")
    (root / "sub" / "up").symlink_to("../a.txt")
    (root / "absolute").symlink_to(root / "a.txt")
    (root / "out-absolute").symlink_to(top / "secret")
    (root / "out-relative").symlink_to("../secret")
    (root / "out-dir").symlink_to("../outside")
    (root / "out-chain").symlink_to("out-relative")
    (root / "sub" / "out").symlink_to("../../secret")
    (root / "proc").symlink_to("/proc/self/root")
    (root / "loop").symlink_to("loop")
    (root / "null").symlink_to("/dev/null")
    (root / "list" / "out").symlink_to("../../secret")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        with contextlib.chdir(root):  # the path of a socket must be short
            sock.bind("socket")
    return root


def routes(root: Path) -> list[str]:
    return [
        f'path = "/s/*"; action = "file"; root = "{root}"',
        f'path = "/dots/*"; action = "file"; root = "{root}"; dotfiles = true',
        f'path = "/nolinks/*"; action = "file"; root = "{root}"; symlinks = false',
        f'path = "/html/*"; action = "file"; root = "{root}"; listing = "html"',
        f'path = "/json/*"; action = "file"; root = "{root}"; listing = "json"',
        f'path = "/auto/*"; action = "file"; root = "{root}"; listing = "auto"; index = "none"',
        f'path = "/one"; action = "file"; file = "{root}/a.txt"',
        f'path = "/typed"; action = "file"; file = "{root}/a.txt"; content_type = "x/y"',
        f'path = "/plain"; action = "file"; file = "{root}/a.txt"; charset = ""',
        f'path = "/top"; action = "file"; root = "{root}/sub"',
        f'path = "/packed/*"; action = "file"; root = "{root}"; precompressed = true',
        f'path = "/packed"; action = "file"; file = "{root}/a.txt"; precompressed = true',
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def daemon(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    if ATTACH:
        pytest.skip("needs routes of its own")
    daemon = Daemon(tmp_path_factory.mktemp("file"), conf(*routes(root)))
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.put_away()


# --- content --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target, content, content_type",
    [
        ("/s/a.txt", TEXT, "text/plain; charset=utf-8"),
        ("/s/%61%2Etxt", TEXT, "text/plain; charset=utf-8"),
        ("/s//a.txt?query", TEXT, "text/plain; charset=utf-8"),
        ("/s/b.unknown", b"?", "application/octet-stream"),
        ("/s/empty.txt", b"", "text/plain; charset=utf-8"),
        ("/s/sub/", b"<p>index", "text/html; charset=utf-8"),
        ("/s/sub/deep/page.html", b"<p>page", "text/html; charset=utf-8"),
        ("/s/inside", TEXT, "application/octet-stream"),
        ("/s/inside-dir/", b"<p>index", "text/html; charset=utf-8"),
        ("/s/sub/up", TEXT, "application/octet-stream"),
        ("/dots/.env", SECRET, "application/octet-stream"),
        ("/dots/.hidden/file", SECRET, "application/octet-stream"),
        ("/one", TEXT, "text/plain; charset=utf-8"),
        ("/typed", TEXT, "x/y"),
        ("/plain", TEXT, "text/plain"),
        ("/top", b"<p>index", "text/html; charset=utf-8"),
    ],
)
def test_content(daemon: Daemon, target: str, content: bytes, content_type: str) -> None:
    response = daemon.get(target)
    assert response.status == 200
    assert response.body == content
    assert response.header("Content-Type") == content_type
    assert response.header("Accept-Ranges") == "bytes"
    assert re.fullmatch(r'"[!#-~]+"', response.header("ETag") or "")
    head = daemon.request("HEAD", target)
    assert head.status == 200
    assert head.body == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
        assert head.header(name) == response.header(name)
    assert head.header("Content-Length") == str(len(content))


def test_a_change_changes_the_etag(daemon: Daemon, root: Path) -> None:
    path = root / "changing"
    seen = set()
    for i in range(20):
        path.write_bytes(b"%02d" % i)
        response = daemon.get("/s/changing")
        assert response.body == b"%02d" % i
        seen.add(response.header("ETag"))
        os.utime(path, (1_000_000_000, 1_000_000_000))
        seen.add(daemon.get("/s/changing").header("ETag"))
    assert len(seen) == 40


@pytest.mark.parametrize(
    "target, location",
    [
        ("/s/sub", "/s/sub/"),
        ("/s/sub?a=b", "/s/sub/?a=b"),
        ("//s//sub", "/s/sub/"),
        ("/s/%73ub", "/s/sub/"),
        ("http://elsewhere.example//s/sub", "/s/sub/"),
        ("/html/list/dir", "/html/list/dir/"),
    ],
)
def test_a_directory_wants_its_slash(daemon: Daemon, target: str, location: str) -> None:
    response = daemon.get(target)
    assert response.status == 301
    assert response.header("Location") == location


# --- what is never served -------------------------------------------------------------------------

ESCAPES = [
    "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "..%2f", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e",
    "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "..%c0%af", "..%ef%bc%8f", "..;", "...", "....//",
    "..%00", "%00..", "..%0a", "..%0d%0a", "..%09", "..%20", "%20..", "..%ff", "%uff0e%uff0e",
    ".../...", "./..", ".//..", "sub/..", "sub/../..", "sub/deep/../../..", "empty/..",
]  # fmt: skip
ATTEMPTS = (
    [f"/s/{escape}/secret" for escape in ESCAPES]
    + [f"/s/{escape}/{escape}/secret" for escape in ESCAPES]
    + [f"/s/sub/{escape}/{escape}/secret" for escape in ESCAPES]
    + [f"/s/{escape}secret" for escape in ESCAPES]
    + [
        "/s/out-absolute", "/s/out-relative", "/s/out-dir/secret", "/s/out-dir/", "/s/out-dir",
        "/s/out-chain", "/s/sub/out", "/s/proc/etc/passwd", "/s/proc/", "/s/absolute",
        "/s/loop", "/s/null", "/s/../secret", "/s/..//secret", "/s/../root-secret",
        "/s/%2fetc%2fpasswd", "//s///etc/passwd", "/s/root/../../secret", "/s..%2fsecret",
        "/s/.env", "/s/.hidden/file", "/s/.hidden", "/s/sub/.env", "/s/%2eenv", "/s/sub/%2e%65nv",
        "/s/.hidden/", "/s/inside/..%2fsecret", "/s/a.txt/", "/s/a.txt/..%2f..%2fsecret",
        "/s/fifo", "/s/socket", "/s/fifo/", "/s/a.txt%00", "/s/a.txt%00.html", "/s/A.TXT",
        "/s/" + "a" * 300, "/s/" + "a/" * 2500, "/s/" + "%2e%2e/" * 200 + "etc/passwd",
        "/nolinks/inside", "/nolinks/inside-dir/", "/nolinks/sub/up", "/s/empty/", "/s/missing",
        "/one/", "/one/..", "/s/file:%2f%2f%2fetc%2fpasswd", "/s/~root", "/s/$HOME", "/s/*",
    ]
)  # fmt: skip


@pytest.mark.parametrize("target", ATTEMPTS)
def test_no_way_out(daemon: Daemon, target: str) -> None:
    assert len(ATTEMPTS) > 60
    with daemon.connect() as connection:
        connection.send(b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        response = connection.read_response()
    assert SECRET not in response.body and b"root:" not in response.body
    assert response.status in (400, 404), response


def test_what_stays_inside_is_served(daemon: Daemon) -> None:
    """The same attempts end at a file when there is one where they lead."""
    assert daemon.get("/s/sub/../a.txt").body == TEXT
    assert daemon.get("/s/../../s/%2e%2e/s/a.txt").body == TEXT
    assert daemon.get("/nolinks/a.txt").body == TEXT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(daemon: Daemon, root: Path) -> None:
    (root / "closed").write_bytes(SECRET)
    (root / "closed").chmod(0)
    assert daemon.get("/s/closed").status == 403


def test_a_root_that_is_replaced_is_followed(start: StartDaemon, tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "name").write_text(release)
    (tmp_path / "current").symlink_to("one")
    daemon = start(conf(f'path = "/*"; action = "file"; root = "{tmp_path}/current"'))
    assert daemon.get("/name").text == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "current")
    assert daemon.get("/name").text == "two"
    (tmp_path / "current").unlink()
    assert daemon.get("/name").status == 404


# --- conditional requests and ranges --------------------------------------------------------------


def test_conditional_requests(daemon: Daemon, root: Path) -> None:
    os.utime(root / "a.txt", (784111777, 784111777))
    first = daemon.get("/s/a.txt")
    etag, modified = first.header("ETag") or "", first.header("Last-Modified") or ""
    assert modified == "Sun, 06 Nov 1994 08:49:37 GMT"
    with daemon.connect() as connection:
        for name, value, status in [
            ("If-None-Match", etag, 304),
            ("If-None-Match", f'"x", W/{etag}', 304),
            ("If-None-Match", '"x"', 200),
            ("If-Modified-Since", modified, 304),
            ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
            ("If-Match", etag, 200),
            ("If-Match", '"x"', 412),
            ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 412),
        ]:
            response = connection.get("/s/a.txt", {name: value})
            assert response.status == status, (name, value)
            if status == 304:
                assert response.body == b""
                assert response.header("ETag") == etag
                assert response.header("Content-Length") is None
            if status == 200:
                assert response.body == TEXT
            head = connection.request("HEAD", "/s/a.txt", {name: value})
            assert head.status == status


def parts_of(response: Response) -> list[tuple[str, bytes]]:
    """(Content-Range, content) of a multipart/byteranges body, strictly."""
    content_type = response.header("Content-Type") or ""
    match = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", content_type)
    assert match, content_type
    start = b"--" + match[1].encode()
    body = response.body
    assert body.startswith(start + b"\r\n") and body.endswith(b"\r\n" + start + b"--\r\n")
    parts = []
    for part in body[len(start) + 2 : -len(start) - 6].split(b"\r\n" + start + b"\r\n"):
        head, _, content = part.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        assert fields["Content-Type"] == "text/plain; charset=utf-8"
        parts.append((fields["Content-Range"], content))
    return parts


def test_ranges(daemon: Daemon) -> None:
    with daemon.connect() as connection:
        for value, offset, length in [
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 10),
            ("bytes=-7", 93, 7),
            ("bytes=95-", 95, 5),
            ("bytes=0-1000", 0, 100),
        ]:
            response = connection.get("/s/a.txt", {"Range": value})
            assert response.status == 206
            assert response.body == TEXT[offset : offset + length]
            expected = f"bytes {offset}-{offset + length - 1}/100"
            assert response.header("Content-Range") == expected
        response = connection.get("/s/a.txt", {"Range": "bytes=0-1,50-52,-1"})
        assert response.status == 206
        assert response.header("Content-Range") is None
        assert parts_of(response) == [
            ("bytes 0-1/100", b"01"),
            ("bytes 50-52/100", b"012"),
            ("bytes 99-99/100", b"9"),
        ]
        response = connection.get("/s/a.txt", {"Range": "bytes=100-"})
        assert response.status == 416
        assert response.header("Content-Range") == "bytes */100"
        assert response.json()["status"] == 416
        for value in ("bytes=x", "lines=1-2", "bytes=0-99,0-99", "bytes=" + "0-0," * 17):
            response = connection.get("/s/a.txt", {"Range": value})
            assert (response.status, response.body) == (200, TEXT), value
        response = connection.request("HEAD", "/s/a.txt", {"Range": "bytes=0-1"})
        assert response.status == 200
        etag = connection.get("/s/a.txt").header("ETag") or ""
        for if_range, status in [(etag, 206), ('"x"', 200), (f"W/{etag}", 200)]:
            fields = {"Range": "bytes=0-1", "If-Range": if_range}
            assert connection.get("/s/a.txt", fields).status == status


# --- codings --------------------------------------------------------------------------------------


def test_precompressed_files(daemon: Daemon, root: Path) -> None:
    def get(accepted: str, target: str = "/packed/a.txt") -> Response:
        response = daemon.get(target, {"Accept-Encoding": accepted})
        assert response.status == 200
        assert response.header("Vary") == "Accept-Encoding"
        assert response.header("Content-Type") == "text/plain; charset=utf-8"
        return response

    assert get("gzip").body == TEXT
    packed = gzip.compress(TEXT)
    (root / "a.txt.gz").write_bytes(packed)
    (root / "a.txt.br").write_bytes(b"as if packed")
    (root / "a.txt.zst").mkdir()
    plain = get("identity")
    response = get("gzip, zstd")
    assert response.header("Content-Encoding") == "gzip"
    assert response.body == packed
    assert response.header("ETag") != plain.header("ETag")
    assert get("gzip, br").header("Content-Encoding") == "br"
    assert get("gzip, br;q=0.9").header("Content-Encoding") == "gzip"
    assert get("gzip;q=0, br;q=0").body == TEXT
    assert get("").body == TEXT
    assert get("gzip", "/packed").body == packed
    assert daemon.get("/s/a.txt", {"Accept-Encoding": "gzip"}).body == TEXT
    part = daemon.get("/packed/a.txt", {"Accept-Encoding": "gzip", "Range": "bytes=0-1"})
    assert (part.status, part.body) == (206, packed[:2])
    cached = {"Accept-Encoding": "gzip", "If-None-Match": response.header("ETag") or ""}
    assert daemon.get("/packed/a.txt", cached).status == 304
    # One that is older than the file is of another content.
    os.utime(root / "a.txt.gz", (1, 1))
    assert get("gzip").body == TEXT


# --- listings -------------------------------------------------------------------------------------


def test_a_listing_as_json(daemon: Daemon) -> None:
    response = daemon.get("/json/list/")
    assert response.status == 200
    assert response.header("Content-Type") == "application/json"
    entries = json.loads(response.body)
    assert [entry["name"] for entry in entries] == [
        "<b>&'\" x", "dir", "javascript:alert(1)", "\ufffd\x01",
    ]  # fmt: skip
    assert [entry["type"] for entry in entries] == ["file", "directory", "file", "file"]
    assert [entry.get("size") for entry in entries] == [1, None, 2, 0]
    for entry in entries:
        there = daemon.get(urljoin("/json/list/", entry["href"]))
        assert there.status == 200, entry


def test_a_listing_as_html(daemon: Daemon) -> None:
    response = daemon.get("/html/list/")
    assert response.status == 200
    assert response.header("Content-Type") == "text/html; charset=utf-8"
    assert response.header("Content-Security-Policy") == "default-src 'none'"
    page = response.body.decode("utf-8", "replace")
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;&#39;&quot; x" in page
    hrefs = re.findall(r'href="([^"]*)"', page)
    assert hrefs == [
        "../", "./%3Cb%3E%26%27%22%20x", "./dir/", "./javascript%3Aalert(1)", "./%FF%01",
    ]  # fmt: skip
    assert ".dot" not in page and "out" not in page
    # What is in the path is shown, and is text as well.
    assert daemon.get("/html/list/dir/").status == 200


def test_a_listing_as_the_client_wants_it(daemon: Daemon) -> None:
    for accept, content_type in [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("application/json, text/html", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
    ]:
        response = daemon.get("/auto/sub/", {"Accept": accept})
        assert response.header("Content-Type") == content_type
        assert response.header("Vary") == "Accept"
        assert b"index.html" in response.body


def test_a_long_listing_is_sent_while_it_is_made(start: StartDaemon, tmp_path: Path) -> None:
    count = 5000
    names = [f"{i:05}" + "x" * 200 for i in range(count)]
    for name in names:
        os.close(os.open(tmp_path / name, os.O_CREAT | os.O_WRONLY))
    daemon = start(conf(f'path = "/*"; action = "file"; root = "{tmp_path}"; listing = "json"'))
    response = daemon.get("/")
    assert response.header("Transfer-Encoding") == "chunked"
    entries = response.json()
    assert [entry["name"] for entry in entries if entry["name"] in set(names)] == names


# --- large files ----------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.bin"
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for i in range(LARGE // len(block)):
            file.write(i.to_bytes(4, "big") + block[4:])
    return path


def serve(large: Path) -> str:
    return f'path = "/*"; action = "file"; root = "{large.parent}"'


def begin(daemon: Daemon, receive_buffer: int = 8192) -> Connection:
    """Asks for the large file and sees its head begin."""
    connection = daemon.connect(receive_buffer=receive_buffer)
    connection.send_request("GET", "/large.bin")
    assert connection.sock.recv(8) == b"HTTP/1.1"
    return connection


def test_large_files_and_ranges(start: StartDaemon, large: Path) -> None:
    daemon = start(conf(serve(large)))
    content = large.read_bytes()
    with daemon.connect() as connection:
        assert connection.get("/large.bin").body == content
        response = connection.get("/large.bin", {"Range": "bytes=1000000-40000000"})
        assert response.body == content[1000000:40000001]
        ranges = "bytes=5-400000,9000000-9000001,-300000"
        response = connection.get("/large.bin", {"Range": ranges})
        boundary = (response.header("Content-Type") or "").partition("boundary=")[2].encode()
        parts = response.body.split(b"--" + boundary)
        contents = [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:-1]]
        assert contents == [content[5:400001], content[9000000:9000002], content[-300000:]]
        assert connection.get("/missing").status == 404


def test_slow_readers_cost_no_memory_and_no_thread(start: StartDaemon, large: Path) -> None:
    pools = "default: { threads = 2; };"
    daemon = start(conf(serve(large), pools=pools, server='write_timeout = "1h";'))
    daemon.get("/missing")
    before = daemon.resident_bytes()
    readers = [begin(daemon) for _ in range(20)]
    daemon.until_pool(busy=0, queued=0)
    grown = daemon.resident_bytes() - before
    assert SANITIZED or grown < 8 << 20
    assert daemon.get("/missing").status == 404
    for reader in readers:
        reader.close()


def test_a_reader_that_leaves_frees_the_file(start: StartDaemon, large: Path) -> None:
    daemon = start(conf(serve(large), server='write_timeout = "1h";'))
    at_rest = daemon.descriptors_at_rest()
    readers = [begin(daemon) for _ in range(20)]
    assert daemon.descriptor_count() >= at_rest + 40
    for i, reader in enumerate(readers):
        if i % 2:
            reader.reset()
        else:
            reader.close()
    daemon.until_descriptors(at_rest)


def test_a_file_that_becomes_shorter_breaks_the_answer_off(
    start: StartDaemon, large: Path
) -> None:
    daemon = start(conf(serve(large), server='write_timeout = "1h";'))
    at_rest = daemon.descriptors_at_rest()
    reader = begin(daemon)
    os.truncate(large, 1000)
    received = 8
    with contextlib.suppress(ConnectionResetError):
        while data := reader.sock.recv(1 << 20):
            received += len(data)
    assert 1000 < received < LARGE
    reader.close()
    daemon.until_descriptors(at_rest)


def test_a_stop_waits_for_a_file(start: StartDaemon, large: Path) -> None:
    daemon = start(conf(serve(large), server='drain_timeout = "1h";'))
    reader = begin(daemon, 1 << 16)
    since = daemon.mark()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait_for_notification("STOPPING", "1", since)
    received = 8
    while data := reader.sock.recv(1 << 20):
        received += len(data)
    assert received > LARGE
    daemon.wait_exit()


# --- configuration --------------------------------------------------------------------------------


def test_types_without_a_system_table(start: StartDaemon, root: Path, cli: Cli) -> None:
    assert os.path.exists("/etc/mime.types"), "packaging/install-deps brings it"
    types = root.parent / "types"
    types.write_text("x/special unknown\n")
    daemon = start(
        conf(f'path = "/*"; action = "file"; root = "{root}"; mime_types = "{types}"')
    )
    assert daemon.get("/b.unknown").header("Content-Type") == "x/special"
    assert daemon.get("/a.txt").header("Content-Type") == "application/octet-stream"
    types.write_text("x/other unknown\n")
    daemon.reload()
    until(lambda: daemon.get("/b.unknown").header("Content-Type") == "x/other")
    types.unlink()
    done = cli("-c", daemon.config_path, "-t")
    assert done.returncode == EXIT_CONFIG
    assert "mime_types" in done.stderr and str(types) in done.stderr
