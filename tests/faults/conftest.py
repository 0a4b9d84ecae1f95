"""Fixtures of the fault tests: those of the daemon tests, and daemons whose calls can be made fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Callable

import pytest

DAEMON_TESTS = Path(__file__).parents[1] / "daemon"
sys.path.insert(0, str(DAEMON_TESTS))

_spec = importlib.util.spec_from_file_location("daemon_fixtures", DAEMON_TESTS / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)  # type: ignore[arg-type]
_spec.loader.exec_module(_fixtures)  # type: ignore[union-attr]
pytest_runtest_makereport = _fixtures.pytest_runtest_makereport
start_unready = _fixtures.start_unready

from subject import Subject  # noqa: E402

Begin = Callable[..., Subject]


@pytest.fixture
def begin_unready(start_unready: Callable[..., object], tmp_path: Path) -> Begin:
    """Starts the daemon with this configuration, or the one of all actions, and with a plan."""

    def begin(config: str | None = None, *rules: str, **options: object) -> Subject:
        return Subject(start_unready, tmp_path, config, *rules, **options)

    return begin


@pytest.fixture
def begin(begin_unready: Begin) -> Begin:
    """As `begin_unready`, and waits for READY=1."""

    def begin_and_wait(config: str | None = None, *rules: str, **options: object) -> Subject:
        subject = begin_unready(config, *rules, **options)
        subject.daemon.wait_ready()
        return subject

    return begin_and_wait


@pytest.fixture
def subject(begin: Begin) -> Subject:
    return begin()
