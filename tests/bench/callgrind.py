"""Runs of the daemon under callgrind, which counts instructions; the kernel's part is not seen."""

import os
import re
import socket

from machine import Daemon, DaemonError, binary


def request(path, fields=()):
    """A request as bytes."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def ask(port, message, count):
    """Sends the same request again and again on one connection; each must have its answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        reader = connection.makefile("rb")
        for _ in range(count):
            connection.sendall(message)
            length = 0
            while (line := reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            if len(reader.read(length)) != length or not length:
                raise DaemonError("an answer is missing")


def profile(folder, config, message, count):
    """What callgrind has written of a daemon that answered so many requests: a file's path."""
    out, wrapper = os.path.join(folder, "callgrind"), os.path.join(folder, "counted")
    with open(wrapper, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec valgrind -q --tool=callgrind --callgrind-out-file={out} {binary()} "$@"\n')
    os.chmod(wrapper, 0o755)
    with Daemon(config, program=wrapper) as daemon:
        ask(daemon.ports["main"], message, count)
    return out


def total(path):
    """All instructions of a profile."""
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M)
    if not found:
        raise DaemonError("callgrind has counted nothing")
    return int(found[1])
