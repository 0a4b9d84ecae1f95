"""The Debian package's life: installed, upgraded under load, removed, purged.  In this order."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from rawhttp import Load, fetch, request_bytes
from service import ADDRESS, SOCKET, UNIT, Service, run

DEB = Path(os.environ.get("HANDOFFD_DEB", "/nonexistent"))
CONFIG = Path("/etc/handoffd/handoffd.conf")


def dpkg(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["dpkg", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def next_version(directory: Path) -> Path:
    """The same package with a higher version and another sample configuration."""
    tree = directory / "tree"
    run("dpkg-deb", "-R", str(DEB), str(tree))
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1:"))
    sample = tree / "etc" / "handoffd" / "handoffd.conf"
    sample.write_text(sample.read_text() + "# new in this version\n")
    path = directory / "next.deb"
    run("dpkg-deb", "-b", "--root-owner-group", str(tree), str(path))
    return path


@pytest.fixture
def service() -> Iterator[Service]:
    yield Service(CONFIG)


def test_installed_it_is_enabled_and_serves_the_sample(service: Service) -> None:
    dpkg("-i", str(DEB))
    assert service.systemctl("is-enabled").stdout.strip() == "enabled"
    assert service.show("ActiveState") == "active"
    assert run("systemctl", "is-enabled", SOCKET, check=False).stdout.strip() == "disabled"
    assert fetch(ADDRESS, "GET", "/hello").text == "Hello World!"
    run("systemd-analyze", "verify", UNIT, SOCKET)


def test_its_program_is_hardened() -> None:
    run("python3", "tests/tree/check_hardening", "/usr/sbin/handoffd")


def test_upgraded_it_keeps_the_configuration_and_every_request(
    service: Service, tmp_path: Path
) -> None:
    mine = CONFIG.read_text().replace('"127.0.0.1:8080"', '"systemd:main"')
    CONFIG.write_text(mine)
    service.systemctl("stop")
    run("systemctl", "enable", "--now", SOCKET)
    service.systemctl("start")
    before = service.pid
    new = next_version(tmp_path)
    with Load(ADDRESS, request_bytes("GET", "/hello"), 10) as load:
        load.wait_for_more(50)
        dpkg("--force-confdef", "--force-confold", "-i", str(new))
        load.wait_for_more(50)
        crowd = load.stop()
    assert crowd.failures == [] and set(crowd.statuses) == {200}
    assert service.pid not in (0, before), "the new version runs"
    assert service.show("ActiveState") == "active"
    assert CONFIG.read_text() == mine
    assert "new in this version" in Path(f"{CONFIG}.dpkg-dist").read_text()


def test_removed_it_leaves_the_configuration(service: Service) -> None:
    dpkg("-r", "handoffd")
    assert service.show("ActiveState") == "inactive"
    assert not Path("/usr/sbin/handoffd").exists()
    assert "systemd:main" in CONFIG.read_text()
    with pytest.raises(ConnectionRefusedError):
        fetch(ADDRESS, "GET", "/hello")


def test_purged_it_leaves_nothing() -> None:
    dpkg("-P", "handoffd")
    run("systemctl", "daemon-reload")
    places = ("/etc", "/run", "/usr/lib", "/usr/sbin", "/usr/share", "/var")
    found = run("find", *places, "-xdev", "-name", "*handoffd*").stdout.splitlines()
    # What the copy is called, and what man-db makes of every page that it meets.
    others = ("handoffd-tests", "/var/cache/man/")
    assert [path for path in found if not any(other in path for other in others)] == []
