"""Fixtures of the daemon tests; see tests/README.md."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness import ATTACH, BINARY, AttachedDaemon, Client, Daemon, run_handoffd

COMMON_CONFIG = Path(__file__).with_name("common.conf")
_DAEMONS = pytest.StashKey[list[Daemon]]()

StartDaemon = Callable[..., Daemon]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]
NEEDS_PROCESS = "needs a daemon of its own, and TEST_ATTACH names one that runs already"


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly or not session.items or ATTACH:
        return
    if not BINARY.is_file():
        raise pytest.UsageError(f"no daemon to test: {BINARY} (set HANDOFFD, or run make)")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows the daemons' logs with a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for daemon in item.stash.get(_DAEMONS, []):
            report.sections.append((f"log of handoffd {daemon.pid}", daemon.log))


@pytest.fixture
def start_unready(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartDaemon]:
    """Starts daemons as `Daemon` describes; each is stopped and judged at the end of the test."""
    if ATTACH:
        pytest.skip(NEEDS_PROCESS)
    daemons = request.node.stash.setdefault(_DAEMONS, [])
    numbers = itertools.count()

    def start(config: str, **options: object) -> Daemon:
        directory = tmp_path / f"daemon{next(numbers)}"
        directory.mkdir()
        daemon = Daemon(directory, config, **options)  # type: ignore[arg-type]
        daemons.append(daemon)
        return daemon

    yield start
    _put_away(daemons)


@pytest.fixture
def start(start_unready: StartDaemon) -> StartDaemon:
    """As `start_unready`, and waits for READY=1."""

    def start_and_wait(config: str, **options: object) -> Daemon:
        daemon = start_unready(config, **options)
        daemon.wait_ready()
        return daemon

    return start_and_wait


@pytest.fixture
def cli() -> Cli:
    """Runs the binary until it ends by itself, see `run_handoffd`."""
    if ATTACH:
        pytest.skip(NEEDS_PROCESS)
    return run_handoffd


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """One daemon with common.conf for all tests of a file that leave it as it is."""
    if ATTACH:
        attached = AttachedDaemon(ATTACH)
        yield attached
        attached.close_connections()
        return
    daemon = Daemon(tmp_path_factory.mktemp("common"), COMMON_CONFIG.read_text())
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.put_away()


def _put_away(daemons: list[Daemon]) -> None:
    """All of them, even if one has a complaint."""
    complaints = []
    for daemon in daemons:
        try:
            daemon.put_away()
        except AssertionError as complaint:
            complaints.append(str(complaint))
    if complaints:
        pytest.fail("\n\n".join(complaints), pytrace=False)
