"""The probes for tracers, as they stand in the notes of the program."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from conftest import Cli
from harness import BINARY

ARGUMENTS = {"submit": 3, "start": 4, "end": 4, "reject": 4, "reload": 2}


def test_every_probe_is_built_in(cli: Cli) -> None:
    built_in = re.search(r"USDT probes: (yes|no)", cli("-V").stdout)
    assert built_in is not None
    readelf = shutil.which("readelf")
    if built_in[1] == "no" or readelf is None:
        pytest.skip("built without <sys/sdt.h>, or no readelf (packaging/install-deps)")
    notes = subprocess.run([readelf, "-n", BINARY], capture_output=True, text=True).stdout
    found: dict[str, set[int]] = {}
    for name, arguments in re.findall(
        r"Provider: handoffd\s+Name: (\w+)\s+Location:.*\s+Arguments: (.*)", notes
    ):
        found.setdefault(name, set()).add(len(re.findall(r"-?\d+@", arguments)))
    assert found == {name: {count} for name, count in ARGUMENTS.items()}
