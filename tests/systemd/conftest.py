"""Fixtures of the tests under a real systemd; see tests/README.md."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Iterator

import pytest

from service import Service, run

STAGE = Path(os.environ["HANDOFFD_STAGE"])  # what `make install DESTDIR=` has made
CONFIG = Path("/usr/local/etc/handoffd/handoffd.conf")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows the service's journal with a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        log = run("journalctl", "-n", "60", "--no-pager", "-o", "short-precise", check=False).stdout
        report.sections.append(("journal", log))


@pytest.fixture(scope="session")
def installed() -> None:
    shutil.copytree(STAGE, "/", dirs_exist_ok=True, symlinks=True)
    run("systemctl", "daemon-reload")


@pytest.fixture
def service(installed: None) -> Iterator[Service]:
    service = Service(CONFIG)
    yield service
    service.forget()
