"""CGI/1.1 (RFC 3875): what programs get, what becomes of what they write, and real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import Daemon, conf

HTTP_BACKEND = Path("/usr/lib/git-core/git-http-backend")


def script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def route(path: str, program: Path | str, more: str = "") -> str:
    return f'path = "{path}"; action = "exec"; cgi = true; command = [ "{program}" ]; {more}'


def environment(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


@pytest.fixture
def env_program(tmp_path: Path) -> Path:
    return script(tmp_path, "env.sh", "#!/bin/sh\necho Content-Type: text/plain\necho\nenv\n")


# --- meta-variables ------------------------------------------------------------------------------


def test_meta_variables(start: StartDaemon, env_program: Path) -> None:
    daemon = start(conf(route("/cgi/*", env_program)))
    with daemon.connect() as connection:
        connection.send(
            b"POST /cgi/a%20b/c?q=%201+2 HTTP/1.1\r\nHost: name.example:81\r\n"
            b"Content-Type: a/b\r\nX-Some-Thing: x y\r\nContent-Length: 5\r\n\r\n12345"
        )
        response = connection.read_response()
    assert response.status == 200, response
    variables = environment(response.text)
    host, port = daemon.address()[:2]
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/cgi",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "q=%201+2",
        "REQUEST_URI": "/cgi/a%20b/c?q=%201+2",
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "a/b",
        "SERVER_NAME": "name.example",
        "SERVER_PORT": str(port),
        "SERVER_ADDR": host,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_HOST": "127.0.0.1",
        "SCRIPT_FILENAME": str(env_program),
        "HTTP_X_SOME_THING": "x y",
        "HTTP_HOST": "name.example:81",
        "REQUEST_ID": response.header("X-Request-Id"),
        "PWD": str(env_program.parent),
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert variables["SERVER_SOFTWARE"].startswith("handoffd/")


def test_meta_variables_without_a_body(start: StartDaemon, env_program: Path) -> None:
    daemon = start(conf(route("/exact", env_program), route("/all/*", env_program)))
    variables = environment(daemon.get("/exact").text)
    assert variables["QUERY_STRING"] == ""
    assert variables["PATH_INFO"] == ""
    assert variables["SCRIPT_NAME"] == "/exact"
    assert "CONTENT_LENGTH" not in variables
    assert "CONTENT_TYPE" not in variables
    variables = environment(daemon.get("/all/").text)
    assert (variables["SCRIPT_NAME"], variables["PATH_INFO"]) == ("/all", "/")


def test_a_chunked_body_has_a_length(start: StartDaemon, env_program: Path) -> None:
    daemon = start(conf(route("/x", env_program)))
    with daemon.connect() as connection:
        connection.send(
            b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
        )
        variables = environment(connection.read_response().text)
    assert variables["CONTENT_LENGTH"] == "7"
    assert "HTTP_TRANSFER_ENCODING" not in variables


def test_header_variables(start: StartDaemon, env_program: Path) -> None:
    daemon = start(
        conf(
            route("/x", env_program),
            route("/y", env_program, 'env = { HTTP_AUTHORIZATION = "${header.Authorization}"; '
                                     'SERVER_NAME = "mine"; }'),
        )
    )
    headers = [
        ("Proxy", "http://evil/"), ("PROXY", "again"), ("Authorization", "Basic x"), ("X_Y", "1"),
        ("Cookie", "a=1"), ("Cookie", "b=2"), ("Accept", "a"), ("accept", "b"),
    ]
    variables = environment(daemon.get("/x", headers).text)
    assert not {"HTTP_PROXY", "HTTP_AUTHORIZATION", "HTTP_X_Y"} & variables.keys()
    assert variables["HTTP_COOKIE"] == "a=1; b=2"
    assert variables["HTTP_ACCEPT"] == "a, b"
    variables = environment(daemon.get("/y", headers).text)
    assert variables["HTTP_AUTHORIZATION"] == "Basic x"
    assert variables["SERVER_NAME"] == "mine"


def test_path_translated(start: StartDaemon, env_program: Path) -> None:
    daemon = start(conf(route("/x/*", env_program, 'env = { DOCUMENT_ROOT = "/srv/www"; }')))
    assert environment(daemon.get("/x/a/b").text)["PATH_TRANSLATED"] == "/srv/www/a/b"


# --- answers -------------------------------------------------------------------------------------


@pytest.fixture
def say(start: StartDaemon, tmp_path: Path) -> Daemon:
    """A program that answers with the request's body, and another that tells how it was called."""
    tell = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n%s %s?%s %s' " \
           '"$REQUEST_METHOD" "$PATH_INFO" "$QUERY_STRING" "$CONTENT_LENGTH"\n'
    return start(
        conf(
            route("/say", "/bin/cat"),
            route("/tell/*", script(tmp_path, "tell", tell)),
            route("/again", script(tmp_path, "again", "#!/bin/sh\nprintf 'Location: /again\\n\\n'\n")),
            route("/to", script(tmp_path, "to", '#!/bin/sh\nprintf "Location: $QUERY_STRING\\n\\n"\n')),
            'path = "/hello"; action = "respond"; body = "Hello"; headers = { X-Q = "${query.q}"; }',
        )
    )


def test_documents(say: Daemon) -> None:
    body = b"Content-Type: text/x\nX-One: 1\nSet-Cookie: a\nSet-Cookie: b\nDate: never\n\nbody\0\xff"
    response = say.request("POST", "/say", body=body)
    assert (response.status, response.body) == (200, b"body\0\xff")
    assert response.header("Content-Type") == "text/x"
    assert response.header("X-One") == "1"
    assert [value for name, value in response.fields if name == "Set-Cookie"] == ["a", "b"]
    assert response.header("Date") != "never"


@pytest.mark.parametrize(
    ("output", "status"),
    [
        (b"Status: 404 Not Found\nContent-Type: a/b\n\nx", 404),
        (b"Status: 503\r\nContent-Type: a/b\r\n\r\nx", 503),
        (b"Status: 204\n\n", 204),
    ],
)
def test_statuses(say: Daemon, output: bytes, status: int) -> None:
    assert say.request("POST", "/say", body=output).status == status


def test_client_redirects(say: Daemon) -> None:
    response = say.request("POST", "/say", body=b"Location: http://h.example/a?b\n\n")
    assert (response.status, response.header("Location")) == (302, "http://h.example/a?b")
    output = b"Status: 303 See Other\nLocation: /hello\nContent-Type: a/b\n\nx"
    response = say.request("POST", "/say", body=output)
    assert (response.status, response.header("Location"), response.text) == (303, "/hello", "x")


def test_local_redirects(say: Daemon) -> None:
    with say.connect() as connection:
        response = connection.request("POST", "/say", body=b"Location: /tell/there?a=b\n\n")
        assert (response.status, response.text) == (200, "GET /there?a=b 0")
        response = connection.request("POST", "/say", body=b"Location: /hello?q=7\n\n")
        assert (response.status, response.text, response.header("X-Q")) == (200, "Hello", "7")
        assert response.header("Location") is None
        response = connection.request("HEAD", "/to?/hello?q=8")
        assert (response.status, response.header("X-Q")) == (200, "8")
        response = connection.request("POST", "/say", body=b"Location: /nowhere\n\n")
        assert (response.status, response.json()["reason"]) == (404, "no_route")


def test_local_redirects_keep_the_clients_patience(start: StartDaemon, tmp_path: Path) -> None:
    program = script(tmp_path, "to", '#!/bin/sh\nprintf "Location: /sleep\\n\\n"\n')
    daemon = start(
        conf(
            route("/to", program),
            'path = "/sleep"; action = "sleep"; duration = 0',
            listeners='main: { address = "127.0.0.1:0"; queue_budget_header = "X-Patience"; };',
        )
    )
    assert daemon.get("/to", {"X-Patience": "10s"}).text == "done\n"


def test_local_redirects_come_to_an_end(say: Daemon) -> None:
    response = say.get("/again")
    assert (response.status, response.json()["reason"]) == (502, "bad_output")


@pytest.mark.parametrize(
    "output",
    [
        b"", b"\n", b"hello", b"hello\n\nworld", b"Content-Type: a/b", b"Content-Type: a/b\nX: y\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nx", b"X-One: 1\n\nx", b"Status: 200\n\nx",
        b"Status: 100\nContent-Type: a/b\n\nx", b"Status: abc\nContent-Type: a/b\n\nx",
        b"Content-Type: a/b\nX: a\rY: b\n\nx", b"Content-Type: a/b\nX\0: y\n\n",
        b"Content-Type: a/b\n folded\n\n", b"Location: a b\n\n", b"Location: /#fragment\n\n",
        b"Content-Type: a/b\nX: " + 9000 * b"x" + b"\n\n",
    ],
)
def test_malformed_output_is_not_passed_on(say: Daemon, output: bytes) -> None:
    response = say.request("POST", "/say", body=output)
    assert response.status == 502
    assert response.json()["reason"] == "bad_output"
    assert response.header("X-One") is None
    assert "world" not in response.text
    if b"Location: /" not in output:
        say.wait_for_log(r"warning: request \S+: route /say: /bin/cat wrote ")


def test_framing_is_ours(say: Daemon) -> None:
    output = (
        b"Content-Type: a/b\nTransfer-Encoding: chunked\nContent-Length: 100\nConnection: close\n"
        b"\nHTTP/1.1 200 OK\r\n\r\n"
    )
    with say.connect() as connection:
        for _ in range(2):
            response = connection.request("POST", "/say", body=output)
            assert response.body == b"HTTP/1.1 200 OK\r\n\r\n"
            assert response.header("Transfer-Encoding") is None


def test_head_tells_the_length(start: StartDaemon, tmp_path: Path) -> None:
    text = "#!/bin/sh\nprintf 'Content-Type: a/b\\nContent-Length: 7\\n\\n'\n" \
           '[ "$REQUEST_METHOD" = HEAD ] || printf 1234567\n'
    daemon = start(conf(route("/x", script(tmp_path, "x", text))))
    with daemon.connect() as connection:
        response = connection.request("HEAD", "/x")
        assert (response.status, response.header("Content-Length")) == (200, "7")
        assert connection.get("/x").text == "1234567"


def test_a_program_that_dies_is_a_failure(start: StartDaemon, tmp_path: Path) -> None:
    text = "#!/bin/sh\nprintf 'Content-Type: a/b\\n\\nhalf of it'\nkill -9 $$\n"
    daemon = start(conf(route("/x", script(tmp_path, "x", text))))
    response = daemon.get("/x")
    assert (response.status, response.json()["reason"]) == (500, "action_failed")


# --- real programs -------------------------------------------------------------------------------


def test_python(start: StartDaemon, tmp_path: Path) -> None:
    text = f"""#!{sys.executable}
import os, sys, urllib.parse
form = urllib.parse.parse_qs(sys.stdin.read(int(os.environ["CONTENT_LENGTH"])))
print("Content-Type: text/plain; charset=utf-8\\n")
print(form["name"][0] * 3)
"""
    daemon = start(conf(route("/x", script(tmp_path, "x.py", text))))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert daemon.request("POST", "/x", headers, b"name=%C3%A4").text == "äää\n"


def test_perl(start: StartDaemon, tmp_path: Path) -> None:
    text = """#!/usr/bin/perl
use strict; use warnings;
read(STDIN, my $body, $ENV{CONTENT_LENGTH});
print "Status: 202 Accepted\\r\\nContent-Type: text/plain\\r\\n\\r\\n", scalar reverse($body);
"""
    daemon = start(conf(route("/x", script(tmp_path, "x.pl", text))))
    response = daemon.request("POST", "/x", body=b"abc")
    assert (response.status, response.text) == (202, "cba")


def git(*arguments: str, cwd: Path) -> str:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")},
    }
    return subprocess.run(["git", *arguments], cwd=cwd, env=environment, check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def test_git(start: StartDaemon, tmp_path: Path) -> None:
    """A clone of nothing, a push that is larger than what git sends without chunks, and a clone."""
    git("init", "-q", "--bare", "srv/project.git", cwd=tmp_path)
    variables = f'GIT_PROJECT_ROOT = "{tmp_path}/srv"; GIT_HTTP_EXPORT_ALL = "1"; REMOTE_USER = "x";'
    daemon = start(
        conf(route("/git/*", HTTP_BACKEND, f'env = {{ {variables} }}; max_body_size = "64m"'))
    )
    host, port = daemon.address()[:2]
    url = f"http://{host}:{port}/git/project.git"
    git("clone", "-q", url, "first", cwd=tmp_path)
    content = os.urandom(3 << 20)
    (tmp_path / "first" / "file").write_bytes(content)
    git("add", "file", cwd=tmp_path / "first")
    git("commit", "-q", "-m", "one", cwd=tmp_path / "first")
    git("push", "-q", "origin", "HEAD:refs/heads/main", cwd=tmp_path / "first")
    git("clone", "-q", "-b", "main", url, "second", cwd=tmp_path)
    assert (tmp_path / "second" / "file").read_bytes() == content
    assert git("rev-parse", "HEAD", cwd=tmp_path / "first") == git(
        "rev-parse", "HEAD", cwd=tmp_path / "second"
    )
