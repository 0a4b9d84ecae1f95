"""The daemon as a service of a real systemd; for tests that run as root in a copy that may be spoilt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "daemon"))

from harness import until  # noqa: E402
from rawhttp import Address, fetch  # noqa: E402

UNIT = "handoffd.service"
SOCKET = "handoffd.socket"
ADDRESS: Address = ("127.0.0.1", 8080)
SYSTEMD_VERSION = int(
    subprocess.run(["systemctl", "--version"], capture_output=True, text=True).stdout.split()[1]
)


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def config(
    *routes: str, listeners: str = 'main: { address = "127.0.0.1:8080"; };', more: str = ""
) -> str:
    all_routes = ",\n".join(f"{{ {route} }}" for route in (*routes, STATUS_ROUTE))
    return f"listeners: {{ {listeners} }};\n{more}\nroutes: ( {all_routes} );\n"


STATUS_ROUTE = 'path = "/-/status"; action = "status"'


class Service:
    """One unit with its configuration; `forget` leaves nothing of it."""

    def __init__(self, config_path: Path, unit: str = UNIT) -> None:
        self.config_path = config_path
        self.unit = unit
        self._drop_ins: list[Path] = []
        self._cursor = self._newest_cursor()

    def configure(self, text: str) -> None:
        self.config_path.parent.mkdir(parents=True, exist_ok=True)
        new = self.config_path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config_path)

    def drop_in(self, text: str, unit: str | None = None) -> None:
        path = Path(f"/etc/systemd/system/{unit or self.unit}.d/test{len(self._drop_ins)}.conf")
        self.unit_file(path, text)

    def unit_file(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        self._drop_ins.append(path)
        run("systemctl", "daemon-reload")

    def systemctl(
        self, verb: str, *more: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return run("systemctl", verb, *more, self.unit, check=check)

    def show(self, name: str) -> str:
        return run("systemctl", "show", "--value", "-p", name, self.unit).stdout.strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    @property
    def restarts(self) -> int:
        return int(self.show("NRestarts"))

    def signal(self, name: str) -> None:
        run("systemctl", "kill", f"--signal={name}", "--kill-who=main", self.unit)

    def status(self, address: Address = ADDRESS) -> dict[str, Any]:
        return fetch(address, "GET", "/-/status").json()

    def generation(self) -> int:
        return self.status()["config"]["generation"]

    def until_shown(self, name: str, value: str) -> None:
        until(lambda: self.show(name) == value, f"{name}={value}")

    # --- journal --------------------------------------------------------------------------------

    def _newest_cursor(self) -> list[str]:
        done = run("journalctl", "-q", "-n", "1", "-o", "json")
        return [f"--after-cursor={json.loads(done.stdout)['__CURSOR']}"] if done.stdout else []

    def journal(self, **fields: str) -> list[dict[str, Any]]:
        """What this service, or systemd about it, had to say since the test began."""
        run("journalctl", "--sync")
        # Without matches of its own: it would skip the first one behind the cursor.
        done = run("journalctl", "-q", "-o", "json", *self._cursor)
        entries = map(json.loads, done.stdout.splitlines())
        return [
            entry
            for entry in entries
            if self.unit in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"))
            and all(entry.get(name) == value for name, value in fields.items())
        ]

    def wait_for_journal(self, **fields: str) -> dict[str, Any]:
        return until(lambda: self.journal(**fields), f"journal entry {fields}")[0]

    # --- end ------------------------------------------------------------------------------------

    def forget(self) -> None:
        run("systemctl", "stop", SOCKET, self.unit, check=False)
        run("systemctl", "reset-failed", check=False)
        for path in self._drop_ins:
            path.unlink()
        run("systemctl", "daemon-reload")
