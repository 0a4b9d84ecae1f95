"""Every fault of a configuration is told, with its place, in one go.

Each file bad_conf/NAME.conf has a NAME.expect: one line per fault, its parts separated by " ... ".
A fault is told if one line on standard error holds all the parts of its line, in that order.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import Cli
from harness import EXIT_CONFIG, EXIT_OK, conf

BAD_CONF = Path(__file__).with_name("bad_conf")
BAD_FILES = sorted(path.name for path in BAD_CONF.glob("*.conf"))

LOCATION = re.compile(r"[^:\s]+:[1-9][0-9]*: \S")


def expectations(name: str) -> list[list[str]]:
    lines = (BAD_CONF / name).with_suffix(".expect").read_text().splitlines()
    return [line.split(" ... ") for line in lines if line]


def holds_in_order(line: str, parts: list[str]) -> bool:
    at = 0
    for part in parts:
        at = line.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def test_there_are_bad_files_and_none_without_expectations() -> None:
    assert len(BAD_FILES) > 40
    assert all(expectations(name) for name in BAD_FILES)


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file(cli: Cli, name: str) -> None:
    done = cli("-t", "-c", name, cwd=BAD_CONF)
    assert done.returncode == EXIT_CONFIG
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line for line in lines if not LOCATION.match(line)] == []
    wanted = expectations(name)
    missing = [parts for parts in wanted if not any(holds_in_order(line, parts) for line in lines)]
    assert missing == [], done.stderr
    assert len(lines) == len(wanted), done.stderr


@pytest.mark.parametrize("name", ["many_faults.conf", "include_fault.conf"])
def test_a_start_tells_the_same_faults_as_a_test(cli: Cli, name: str) -> None:
    tested = cli("-t", "-c", name, cwd=BAD_CONF)
    started = cli("-c", name, cwd=BAD_CONF)
    assert started.returncode == EXIT_CONFIG
    for line in tested.stderr.splitlines():
        assert line in started.stderr


def test_a_missing_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "none.conf"
    done = cli("-t", "-c", path)
    assert done.returncode == EXIT_CONFIG
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{path}:") and "No such file" in line


def test_a_directory_instead_of_a_file(cli: Cli, tmp_path: Path) -> None:
    done = cli("-t", "-c", tmp_path)
    assert done.returncode == EXIT_CONFIG
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{tmp_path}:") and "directory" in line


@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        b"server: { };\0",
        b"\xff\xfe",
        bytes(range(256)),
        b"(" * 10_000,
        b"a" * 100_000,
        b'x = "' + b"y" * 70_000,
    ],
    ids=["zero", "zero at the end", "mark", "all bytes", "brackets", "long name", "open string"],
)
def test_garbage_is_refused_with_the_file_named(cli: Cli, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.conf"
    path.write_bytes(content)
    done = cli("-t", "-c", path)
    assert done.returncode == EXIT_CONFIG
    assert str(path) in done.stderr


def test_a_missing_option_is_told_at_its_group(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "handoffd.conf"
    path.write_text('routes: (\n  { path = "/a"; action = "live"; },\n  { action = "live"; }\n);\n')
    done = cli("-t", "-c", path)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{path}:3: routes[1]") and '"path"' in line


def test_includes_are_relative_to_the_including_file(cli: Cli, tmp_path: Path) -> None:
    """From another working directory, and through two directories."""
    (tmp_path / "etc" / "conf.d" / "deep").mkdir(parents=True)
    (tmp_path / "etc" / "main.conf").write_text('@include "conf.d/pools.conf"\n')
    (tmp_path / "etc" / "conf.d" / "pools.conf").write_text(
        'pools: {\n@include "deep/one.conf"\n@include "../conf.d/deep/two.conf"\n};\n'
    )
    (tmp_path / "etc" / "conf.d" / "deep" / "one.conf").write_text("one: { threads = 11; };\n")
    (tmp_path / "etc" / "conf.d" / "deep" / "two.conf").write_text("two: { threads = 22; };")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = cli("-T", "-c", tmp_path / "etc" / "main.conf", cwd=elsewhere)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
    assert "threads = 11;" in done.stdout and "threads = 22;" in done.stdout
    # And from the directory itself, by a bare name.
    assert cli("-T", "-c", "main.conf", cwd=tmp_path / "etc").stdout == done.stdout


def test_one_file_may_be_included_twice(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "size.inc").write_text("threads = 5;\n")
    path = tmp_path / "handoffd.conf"
    path.write_text('pools: {\na: {\n@include "size.inc"\n};\nb: {\n@include "size.inc"\n};\n};\n')
    done = cli("-T", "-c", path)
    assert (done.returncode, done.stdout.count("threads = 5;")) == (EXIT_OK, 2)


def test_lines_behind_an_include_keep_their_numbers(cli: Cli, tmp_path: Path) -> None:
    for content in ("", "a: { };", "a: { };\n", "\n\na: { };\n\n\n"):
        (tmp_path / "x.inc").write_text(content)
        path = tmp_path / "handoffd.conf"
        path.write_text('pools: {\n@include "x.inc"\n};\nunknown = 1;\n')
        assert f"{path}:4: unknown" in cli("-t", "-c", path).stderr


@pytest.mark.parametrize(
    "routes",
    [
        ['path = "/a/{x}"', 'path = "/a/b"', 'path = "/a/*"'],
        ['path = "/a"; methods = [ "GET" ]', 'path = "/a"; methods = [ "POST" ]'],
        ['path = "/a/{x}/c"', 'path = "/a/{y}/d"'],
        ['path = "/a"', 'path = "/a/"'],
    ],
)
def test_routes_that_look_alike_without_a_conflict(
    cli: Cli, tmp_path: Path, routes: list[str]
) -> None:
    path = tmp_path / "handoffd.conf"
    path.write_text(conf(*(f'{route}; action = "live"' for route in routes)))
    done = cli("-t", "-c", path)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")


@pytest.mark.parametrize("name", ["a", "a_b", "a-b", "a" * 30, "A9"])
def test_names_of_pools_and_listeners(cli: Cli, tmp_path: Path, name: str) -> None:
    path = tmp_path / "handoffd.conf"
    path.write_text(
        conf(
            f'path = "/s"; action = "sleep"; duration = 1; pool = "{name}"; listener = "{name}"',
            pools=f"{name}: {{ }};",
            listeners=f'{name}: {{ address = "127.0.0.1:0"; }};',
        )
    )
    done = cli("-t", "-c", path)
    assert (done.returncode, done.stderr) == (EXIT_OK, "")
