"""The command line and its exit codes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from conftest import Cli, StartDaemon
from harness import EXIT_CONFIG, EXIT_OK, EXIT_USAGE, ROOT, conf, until

SAMPLE = ROOT / "etc" / "handoffd.conf"
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'

RICH = r"""
server: { drain_timeout = "1m"; log_level = "notice"; };
listeners: {
    main: { address = "127.0.0.1:0"; };
    admin: { address = "unix:/tmp/nowhere/s"; mode = "0640"; };
};
pools: {
    default: { threads = "auto"; queue_depth = 0; };
    lazy: { threads = 2; spawn = "on-demand"; stack_size = "1m"; queue_depth = 1000000; };
};
routes: (
    { path = "/quote"; action = "respond"; body = "a \"b\" \\ \t \n \r c \x41"; status = 299; },
    { path = "/umlaut/ä"; action = "respond"; body = "ä€"; content_type = "a/b; c=utf-8"; },
    { path = "/h"; action = "live"; headers = { X-A = "1"; X-B = "b: c, \"d\""; }; },
    { path = "/l"; action = "live"; headers = ( "X-A: 1", "X-A: 2" ); listener = [ "admin" ]; },
    { path = "/m"; action = "echo"; methods = [ "POST", "PUT" ]; listener = ( "main", "admin" ); },
    { path = "/to"; action = "redirect"; location = "/x?y=z"; status = 307; },
    { path = "/d"; action = "delay"; duration = 0.25; },
    { path = "/s/{a}/{b}"; action = "sleep"; duration = "1500ms"; pool = "lazy"; },
    { path = "/s/*"; action = "spin"; duration = 2; },
    { path = "/p"; action = "pool"; pool = "lazy"; field = "busy"; },
    { path = "/status"; action = "status"; }
);
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_config(text: str, name: str = "handoffd.conf") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write_config


# --- help, version, usage -----------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(cli: Cli, option: str) -> None:
    done = cli(option)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    for word in ("-c", "-t", "-T", "-o", "-l", "-h", "-V", "--config", "--set", "handoffd.conf"):
        assert word in done.stdout


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(cli: Cli, option: str) -> None:
    done = cli(option)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert done.stdout.startswith("handoffd ")
    for library in ("libevent", "libconfig", "jansson", "libcrypto"):
        assert library in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["-x"],
        ["--unknown"],
        ["-c"],
        ["-o"],
        ["-l"],
        ["-l", "loud"],
        ["-o", "no_equals_sign"],
        ["-o", "=1"],
        ["extra"],
        ["-t", "extra"],
        ["--test=1"],
    ],
    ids=" ".join,
)
def test_wrong_usage(cli: Cli, args: list[str]) -> None:
    done = cli(*args)
    assert done.returncode == EXIT_USAGE
    assert done.stdout == ""
    assert done.stderr


# --- -t -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-t", "--test"])
def test_a_good_configuration(cli: Cli, write, option: str) -> None:
    done = cli("-c", write(RICH), option)
    assert (done.returncode, done.stdout) == (EXIT_OK, "")


def test_the_sample_configuration_is_good(cli: Cli) -> None:
    assert cli("-t", "-c", SAMPLE).returncode == EXIT_OK


def test_an_empty_configuration_is_good(cli: Cli, write) -> None:
    assert cli("--config", write(""), "-t").returncode == EXIT_OK
    assert cli("-c", "/dev/null", "-t").returncode == EXIT_OK


def test_test_opens_nothing(start: StartDaemon, cli: Cli, write, tmp_path: Path) -> None:
    host, port = start(conf()).address()
    listeners = f'a: {{ address = "{host}:{port}"; }}; b: {{ address = "unix:{tmp_path}/s"; }};'
    assert cli("-t", "-c", write(conf(listeners=listeners))).returncode == EXIT_OK
    assert not (tmp_path / "s").exists()


# --- -T -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-T", "--dump"])
@pytest.mark.parametrize(
    "text",
    ["", RICH, conf(BLOCK), SAMPLE.read_text()],
    ids=["empty", "rich", "small", "sample"],
)
def test_a_dump_reads_back_as_itself(cli: Cli, write, option: str, text: str) -> None:
    first = cli("-c", write(text, "first.conf"), option)
    assert (first.returncode, first.stderr) == (EXIT_OK, "")
    second = cli("-c", write(first.stdout, "second.conf"), option)
    assert (second.returncode, second.stderr) == (EXIT_OK, "")
    assert second.stdout == first.stdout


def test_a_dump_holds_the_defaults(cli: Cli, write) -> None:
    dump = cli("-T", "-c", write("")).stdout
    for name, line in (
        ("address", 'address = "127.0.0.1:8080";'),
        ("threads", "threads = 40;"),
        ("queue_depth", "queue_depth = 400;"),
        ("spawn", 'spawn = "eager";'),
        ("stack_size", 'stack_size = "256k";'),
        ("drain_timeout", 'drain_timeout = "30s";'),
        ("log_level", 'log_level = "info";'),
    ):
        assert dump_line(dump, name) == line


def test_a_dump_behaves_as_the_original(start: StartDaemon, cli: Cli, write) -> None:
    body = r'a \"b\" \\ \t ä'
    config = conf(
        f'path = "/x"; action = "respond"; body = "{body}"; headers = {{ X-A = "1"; }}; '
        "status = 299",
        BLOCK,
        pools='default: { threads = 3; queue_depth = 1; spawn = "on-demand"; };',
    )
    answers = []
    for text in (config, cli("-T", "-c", write(config)).stdout):
        daemon = start(text)
        response = daemon.get("/x")
        answers.append((response.status, response.text, response.header("X-A"), daemon.pool()))
    assert answers[0] == answers[1]
    assert answers[0][:3] == (299, 'a "b" \\ \t ä', "1")


def test_a_dump_of_a_bad_configuration_is_no_dump(cli: Cli, write) -> None:
    done = cli("-T", "-c", write("pools: { default: { threads = 0; }; };"))
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    assert "handoffd.conf:1: pools.default.threads" in done.stderr


# --- -o -----------------------------------------------------------------------------------------


def dump_line(stdout: str, name: str) -> str:
    (line,) = [line.strip() for line in stdout.splitlines() if line.strip().startswith(name)]
    return line


@pytest.mark.parametrize("option", ["-o", "--set"])
def test_an_override_wins_over_the_file(cli: Cli, write, option: str) -> None:
    config = write("pools: { default: { threads = 3; }; };")
    stdout = cli("-T", "-c", config, option, "pools.default.threads=7").stdout
    assert dump_line(stdout, "threads") == "threads = 7;"


@pytest.mark.parametrize(
    ("override", "name", "line"),
    [
        ("server.drain_timeout=5m", "drain_timeout", 'drain_timeout = "5m";'),
        ("server.drain_timeout=5", "drain_timeout", 'drain_timeout = "5s";'),
        ("server.log_level=debug", "log_level", 'log_level = "debug";'),
        ("pools.default.threads=auto", "threads", 'threads = "auto";'),
        ("pools.default.stack_size=1m", "stack_size", 'stack_size = "1m";'),
        ("listeners.main.address=[::1]:0", "address", 'address = "[::1]:0";'),
    ],
)
def test_an_override_of_each_type(cli: Cli, write, override: str, name: str, line: str) -> None:
    done = cli("-T", "-c", write(""), "-o", override)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert dump_line(done.stdout, name) == line


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("pools.default", "threads", "16"),
        ("pools.default", "threads", "0x10"),
        ("pools.default", "threads", '"auto"'),
        ("pools.default", "stack_size", "131072"),
        ("pools.default", "stack_size", "0x20000"),
        ("server", "drain_timeout", "0.5"),
        ("server", "drain_timeout", "1e1"),
        ("server", "drain_timeout", '"250ms"'),
        ("server", "log_level", '"debug"'),
    ],
)
def test_an_override_reads_what_a_file_reads(
    cli: Cli, write, group: str, key: str, value: str
) -> None:
    inside = f"{key} = {value};"
    for name in reversed(group.split(".")):
        inside = f"{name}: {{ {inside} }};"
    by_file = cli("-T", "-c", write(inside, "written.conf"))
    by_override = cli("-T", "-c", write("", "empty.conf"), "-o", f"{group}.{key}={value}")
    assert (by_file.returncode, by_override.returncode) == (EXIT_OK, EXIT_OK)
    assert by_override.stdout == by_file.stdout
    assert by_file.stdout != cli("-T", "-c", write("", "empty.conf")).stdout


@pytest.mark.parametrize(
    "override",
    [
        "pools.default.threads=7; queue_depth = 1",
        "pools.default.threads=7 8",
        "pools.default.threads=",
        "pools.default.threads=0x",
        "pools.default.threads=99999999999999999999",
        "server.drain_timeout=2; log_level = 1",
        "pools..threads=1",
        "pools.=1",
        ".pools=1",
        "[0]=1",
        "pools.default.threads.x=1",
        "routes[0].path=/x",
        "routes[4294967296].path=/x",
        "routes[-1].path=/x",
    ],
)
def test_an_override_with_more_or_less_than_a_value(cli: Cli, write, override: str) -> None:
    done = cli("-T", "-c", write(""), "-o", override)
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    assert all(line.startswith(f"-o {override}: ") for line in done.stderr.splitlines())


def test_an_override_of_an_element_that_is_not_there(cli: Cli, write) -> None:
    config = write('routes: ( { path = "/a"; action = "live"; } );')
    for index in ("1", "4294967296", "18446744073709551616", "-1", "x", ""):
        done = cli("-T", "-c", config, "-o", f"routes[{index}].path=/b")
        assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
        assert f"-o routes[{index}].path=/b: " in done.stderr


@pytest.mark.parametrize("value", ['{ X-A = "b"; }', '( "X-A: b" )'])
def test_an_override_of_a_whole_list_or_group(start: StartDaemon, value: str) -> None:
    config = conf('path = "/a"; action = "live"; headers = { X-Old = "1"; }')
    response = start(config, args=["-o", f"routes[0].headers={value}"]).get("/a")
    assert (response.header("X-A"), response.header("X-Old")) == ("b", None)


def test_an_override_of_a_route(cli: Cli, write) -> None:
    config = write(
        'routes: ( { path = "/a"; action = "live"; },\n'
        '          { path = "/s"; action = "sleep"; duration = 1; } );\n'
    )
    done = cli("-T", "-c", config, "-o", "routes[1].duration=250ms")
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert dump_line(done.stdout, "duration") == 'duration = "250ms";'


def test_the_last_override_of_a_key_wins(cli: Cli, write) -> None:
    args = ["-o", "pools.default.threads=7", "-o", "pools.default.threads=8"]
    assert dump_line(cli("-T", "-c", write(""), *args).stdout, "threads") == "threads = 8;"


def test_an_override_wins_at_reloads_too(start: StartDaemon) -> None:
    def config(threads: int, depth: int) -> str:
        return conf(pools=f"default: {{ threads = {threads}; queue_depth = {depth}; }};")

    daemon = start(config(2, 5), args=["-o", "pools.default.threads=3"])
    pool = daemon.pool()
    assert (pool["threads"], pool["queue_depth"]) == (3, 5)
    daemon.reload(config(6, 7))
    pool = daemon.pool()
    assert (pool["threads"], pool["queue_depth"]) == (3, 7)


def test_an_override_of_the_address(start: StartDaemon) -> None:
    config = 'routes: ( { path = "/x"; action = "live"; } );'
    daemon = start(config, args=["-o", "listeners.main.address=127.0.0.1:0"])
    assert daemon.get("/x").status == 200
    assert daemon.address()[1] != 8080


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("pools.default.treads=7", ["pools.default.treads", "threads"]),
        ("pools.default.threads=many", ["pools.default.threads", "many"]),
        ("pools.default.threads=0", ["pools.default.threads", "0"]),
        ("sever.log_level=info", ["sever", "server"]),
        ("server.log_level=inf", ["server.log_level", "inf", "info"]),
        ("server=1", ["server"]),
        ("routes[0].duration=1", ["no such place"]),
    ],
)
def test_a_bad_override(cli: Cli, write, override: str, expected: list[str]) -> None:
    done = cli("-t", "-c", write(""), "-o", override)
    assert done.returncode == EXIT_CONFIG
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"-o {override}: ")
    message = line.removeprefix(f"-o {override}: ")
    assert all(text in message for text in expected)


# --- -l -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-l", "--log-level"])
def test_the_log_level_of_the_command_line_wins(start: StartDaemon, option: str) -> None:
    def config(level: str) -> str:
        return conf(server=f'log_level = "{level}"; drain_timeout = "100ms";')

    daemon = start(config("debug"), args=[option, "error"])
    daemon.reload(config("info"))
    daemon.stop()
    assert daemon.log_lines() == []


@pytest.mark.parametrize("level", ["error", "warning"])
def test_the_log_level_of_the_file_holds(start: StartDaemon, level: str) -> None:
    daemon = start(conf(server=f'log_level = "{level}"; drain_timeout = "100ms";'))
    daemon.stop()
    assert daemon.log_lines() == []


def test_the_log_level_changes_at_a_reload(start: StartDaemon) -> None:
    def config(level: str) -> str:
        return conf(server=f'log_level = "{level}"; drain_timeout = "100ms";')

    daemon = start(config("error"))
    daemon.reload(config("info"))
    since = daemon.mark()
    daemon.reload(config("info"))
    until(lambda: daemon.status() and daemon.log_lines(since), "a log line about the reload")


# --- running ------------------------------------------------------------------------------------


def test_nothing_goes_to_standard_output(start: StartDaemon) -> None:
    daemon = start(conf('path = "/x"; action = "live"'), args=["-l", "debug"])
    daemon.get("/x")
    daemon.reload()
    daemon.stop()
    assert daemon.stdout == b""


def test_a_bad_configuration_does_not_start(cli: Cli, write) -> None:
    done = cli("-c", write("pools: { default: { threads = 0; }; };"))
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    assert "handoffd.conf:1: pools.default.threads" in done.stderr


def test_sigusr1_writes_the_status_to_the_log(start: StartDaemon) -> None:
    daemon = start(conf())
    since = daemon.mark()
    daemon.send_signal(signal.SIGUSR1)
    match = daemon.wait_for_log(r"(\{.*\})\s*$", since)
    assert set(json.loads(match[1])) >= {"version", "config", "pools"}
