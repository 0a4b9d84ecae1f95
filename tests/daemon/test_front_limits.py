"""How many connections there may be, by max_connections and by the descriptors of the process."""

from __future__ import annotations

import contextlib
import re
import resource
import time
from pathlib import Path
from typing import Iterator

import pytest

from conftest import StartDaemon
from harness import SANITIZED, Daemon, conf, until
from rawhttp import Connection, Response, request_bytes

PATIENT = 'drain_timeout = "1h"; keepalive_timeout = "1h"; header_timeout = "1h";'
ECHO = 'path = "/echo"; action = "echo"'
HELLO = 'path = "/hello"; action = "respond"; body = "hello"'
SECOND = 'path = "/second"; action = "delay"; duration = "1s"'
BLOCK = 'path = "/block"; action = "sleep"; duration = "1h"'

# In a second of waiting a loop that spins uses many times as much, however busy the machine is.
CPU_SECONDS_OF_A_QUIET_SECOND = 0.1 if SANITIZED else 0.05


def limited(count: int, loops: int = 1, *routes: str) -> str:
    server = f"{PATIENT} max_connections = {count}; loops = {loops};"
    return conf(HELLO, SECOND, *routes, server=server)


def served(daemon: Daemon) -> Connection:
    """A connection that has got an answer, so it is one of those that count."""
    connection = daemon.connect()
    assert connection.get("/hello").text == "hello"
    return connection


def waiting(daemon: Daemon) -> Connection:
    """A connection that asks and, as far as can be seen, is not accepted."""
    connection = daemon.connect()
    connection.send_requests([request_bytes("GET", "/hello")])
    assert_waits(daemon, connection)
    return connection


def assert_waits(daemon: Daemon, connection: Connection) -> None:
    for _ in range(20):  # turns of the loop in which it would be served
        daemon.status()
    assert connection.is_quiet()


def assert_served(connection: Connection) -> Response:
    response = connection.read_response()
    assert response.text == "hello"
    return response


def assert_idle_for_a_second(daemon: Daemon, connection: Connection) -> None:
    """From a request to the answer that a timer gives a second later."""
    before = daemon.cpu_seconds()
    assert connection.get("/second").status == 200
    assert daemon.cpu_seconds() - before < CPU_SECONDS_OF_A_QUIET_SECOND


# --- max_connections ------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [1, 2])
def test_one_more_waits_until_one_closes(start: StartDaemon, loops: int) -> None:
    daemon = start(limited(4, loops))
    at_rest = daemon.descriptors_at_rest()  # the connection of status() counts
    there = [served(daemon) for _ in range(3)]
    for _ in range(5):
        late = waiting(daemon)
        there.pop(0).close()
        assert_served(late)
        there.append(late)
    for connection in there:
        assert connection.get("/hello").text == "hello"
        connection.close()
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def test_waiting_costs_nothing(start: StartDaemon) -> None:
    daemon = start(limited(3))
    daemon.status()
    there = [served(daemon), served(daemon)]
    late = [waiting(daemon) for _ in range(10)]
    assert_idle_for_a_second(daemon, there[0])
    assert all(connection.is_quiet() for connection in late)
    assert len([line for line in daemon.log_lines() if "max_connections" in line]) == 1
    for connection in there + late:
        connection.reset()
    daemon.wait_ready()
    assert served(daemon)
    assert daemon.stop() == 0


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_who_waits_at_a_listener_that_is_removed_is_served(
    start: StartDaemon, tmp_path: Path, kind: str
) -> None:
    address = f"unix:{tmp_path}/two" if kind == "unix" else "127.0.0.1:0"
    without = limited(2)
    daemon = start(without.replace("listeners: {", f'listeners: {{ two: {{ address = "{address}"; }};'))
    at_rest = daemon.descriptors_at_rest()  # two of them the listener's
    there = served(daemon)
    late = [daemon.connect("two") for _ in range(3)]
    for connection in late:
        connection.send_requests([request_bytes("GET", "/hello")])
        assert_waits(daemon, connection)
    daemon.reload(without)
    assert_idle_for_a_second(daemon, there)  # for longer than the socket is kept for handshakes
    there.close()
    for connection in late:
        assert assert_served(connection).closes
        connection.close()
    daemon.until_descriptors(at_rest - 2)
    assert daemon.stop() == 0


def test_many_waiters_are_served_one_after_the_other(start: StartDaemon) -> None:
    daemon = start(limited(3))
    daemon.status()
    crowd = daemon.crowd([[request_bytes("GET", "/hello")]] * 200).wait()
    assert crowd.failures == []
    assert crowd.statuses == {200: 200}
    assert daemon.stop() == 0


def test_a_waiter_that_leaves_takes_no_place(start: StartDaemon) -> None:
    daemon = start(limited(2))
    daemon.status()
    there = served(daemon)
    for _ in range(20):
        waiting(daemon).reset()
    late = waiting(daemon)
    there.close()
    assert_served(late)
    assert daemon.stop() == 0


def test_connections_that_do_not_ask_count(start: StartDaemon) -> None:
    daemon = start(limited(3))
    daemon.status()
    mute = [daemon.connect() for _ in range(2)]
    late = waiting(daemon)
    mute[0].close()
    assert_served(late)
    assert daemon.stop() == 0


def test_a_reload_raises_and_lowers_it(start: StartDaemon) -> None:
    daemon = start(limited(3))
    daemon.status()
    there = [served(daemon), served(daemon)]
    late = [waiting(daemon), waiting(daemon), waiting(daemon)]
    daemon.reload(limited(5))
    assert_served(late[0])
    assert_served(late[1])
    assert_waits(daemon, late[2])
    there += late[:2]  # with that of status(), five are open

    daemon.reload(limited(3))
    for connection in there:  # nobody is sent away
        assert connection.get("/hello").text == "hello"
    for left in (4, 3):
        there.pop().close()
        assert_waits(daemon, late[2])
    there.pop().close()
    assert_served(late[2])
    assert daemon.stop() == 0


def test_a_reload_while_it_is_full_keeps_it_full(start: StartDaemon) -> None:
    daemon = start(limited(2))
    daemon.status()
    there = served(daemon)
    late = waiting(daemon)
    for _ in range(3):
        daemon.reload(limited(2))
        assert_waits(daemon, late)
    there.close()
    assert_served(late)
    assert daemon.stop() == 0


def test_a_listener_that_is_added_while_it_is_full_waits_too(start: StartDaemon) -> None:
    daemon = start(limited(2))
    daemon.status()
    there = served(daemon)
    more = limited(2).replace(
        "listeners: {", 'listeners: { more: { address = "127.0.0.1:0"; };'
    )
    daemon.reload(more)
    late = daemon.connect("more")
    late.send_requests([request_bytes("GET", "/hello")])
    assert_waits(daemon, late)
    there.close()
    assert_served(late)
    assert daemon.stop() == 0


def test_a_stop_while_it_is_full(start: StartDaemon) -> None:
    daemon = start(limited(2))
    daemon.status()
    served(daemon)
    waiting(daemon)
    assert daemon.stop() == 0


# --- descriptors ----------------------------------------------------------------------------------


def with_descriptors(soft: int | None) -> list[str]:
    """A wrapper that starts the daemon with this soft limit; None: as many as are allowed."""
    wanted = "$(ulimit -Hn)" if soft is None else str(soft)
    return ["/bin/sh", "-c", f'ulimit -Sn {wanted} && exec "$@"', "sh"]


# However it says that there are no more descriptors.
EXHAUSTED = "cannot accept|max_connections|descriptors"


def exhaust(daemon: Daemon, at_rest: int) -> tuple[list[Connection], list[Connection]]:
    """Opens more connections than there are descriptors: those that are served, and those that
    wait.  Which ones is clear, as they are accepted in the order in which they come."""
    since = daemon.mark()
    all_ = [daemon.connect() for _ in range(100)]
    for connection in all_:
        connection.send_requests([request_bytes("GET", "/hello")])
    daemon.wait_for_log(EXHAUSTED, since)
    count = daemon.descriptor_count() - at_rest
    assert 0 < count < 40
    for connection in all_[:count]:
        assert_served(connection)
    return all_[:count], all_[count:]


def test_a_limit_that_max_connections_does_not_fit_in_is_told(start: StartDaemon) -> None:
    daemon = start(limited(1000), wrapper=with_descriptors(200))
    daemon.wait_for_log("warning: max_connections is 1000, but no more than 200 descriptors")
    since = daemon.mark()
    daemon.reload(limited(100))
    daemon.reload(limited(100))
    assert not [line for line in daemon.log_lines(since) if "descriptors" in line]
    daemon.reload(limited(500))
    daemon.wait_for_log("warning: max_connections is 500,", since)


def test_service_resumes_when_descriptors_are_back(start: StartDaemon) -> None:
    """Each that closes lets another in, in the order in which they came."""
    daemon = start(limited(1000), wrapper=with_descriptors(40))
    at_rest = daemon.descriptors_at_rest()
    there, late = exhaust(daemon, at_rest)
    assert there[0].get("/hello").text == "hello"
    for connection in there:
        connection.close()
    for _ in range(2):
        for connection in late:
            assert_served(connection)
            connection.close()
        daemon.until_descriptors(at_rest)
        late = [daemon.connect() for _ in range(100)]
        for connection in late:
            connection.send_requests([request_bytes("GET", "/hello")])
    assert daemon.stop() == 0


def test_exhaustion_is_neither_loud_nor_busy(start: StartDaemon) -> None:
    daemon = start(limited(1000), wrapper=with_descriptors(40))
    at_rest = daemon.descriptors_at_rest()
    since, began = daemon.mark(), time.monotonic()
    there, late = exhaust(daemon, at_rest)
    for _ in range(2):
        assert_idle_for_a_second(daemon, there[0])
    # At most one line in ten seconds.
    lines = [line for line in daemon.log_lines(since) if re.search(EXHAUSTED, line)]
    assert 1 <= len(lines) <= 1 + (time.monotonic() - began) / 10
    assert len(daemon.log_lines()) < 20
    assert all(connection.is_quiet() for connection in late)
    assert daemon.stop() == 0


def test_a_reload_succeeds_while_descriptors_are_exhausted(start: StartDaemon) -> None:
    daemon = start(limited(1000), wrapper=with_descriptors(40))
    at_rest = daemon.descriptors_at_rest()
    there, late = exhaust(daemon, at_rest)
    daemon.reload(limited(1000, 1, 'path = "/new"; action = "respond"; body = "new"'))
    assert there[0].get("/new").text == "new"
    there.pop().close()
    assert_served(late[0])
    assert daemon.stop() == 0


def test_a_stop_while_descriptors_are_exhausted(start: StartDaemon) -> None:
    daemon = start(limited(1000), wrapper=with_descriptors(40))
    at_rest = daemon.descriptors_at_rest()
    exhaust(daemon, at_rest)
    assert daemon.stop() == 0


# --- memory ---------------------------------------------------------------------------------------

HEAD_SIZE = 16 << 10
BODY_SIZE = 1 << 20
BESIDES = 64 << 10


def long_head(path: str, *fields: str) -> bytes:
    """A head as long as is allowed, half of it the target."""
    lines = [f"POST {path}?{'q' * (HEAD_SIZE // 2)} HTTP/1.1", "Host: test", *fields]
    begin = "\r\n".join(lines).encode()
    more = b"".join(b"\r\nX-%03d: %s" % (n, b"v" * 70) for n in range(96))
    return (begin + more)[: HEAD_SIZE - 4] + b"\r\n\r\n"


def held(daemon: Daemon, before: int) -> int:
    for _ in range(5):
        daemon.status()
    return daemon.resident_bytes() - before


@pytest.mark.parametrize("framing", [f"Content-Length: {BODY_SIZE}", "Transfer-Encoding: chunked"])
def test_a_client_makes_it_hold_a_head_and_a_body(start: StartDaemon, framing: str) -> None:
    count = 30
    daemon = start(conf(ECHO, server=PATIENT))
    for _ in range(3):
        daemon.request("POST", "/echo", body=b"x" * 1000)
    before = daemon.resident_bytes()
    clients = [daemon.connect() for _ in range(count)]
    for client in clients:
        client.send(long_head("/echo", framing))
        if "chunked" in framing:
            client.send(b"%x\r\n" % BODY_SIZE)
    for _ in range(16):  # all of them grow side by side
        for client in clients:
            client.send(b"x" * (BODY_SIZE // 16 - 1))
    until(lambda: daemon.status() and daemon.resident_bytes() - before > count * BODY_SIZE * 0.99)
    grown = held(daemon, before)
    print(f"{grown / count} each")
    assert SANITIZED or grown <= count * (HEAD_SIZE + BODY_SIZE + BESIDES)
    for client in clients:
        client.send(b"x" * 16 + (b"\r\n0\r\n\r\n" if "chunked" in framing else b""))
        assert client.read_response().status == 200
    assert daemon.stop() == 0


def test_a_client_makes_it_hold_few_pipelined_bytes(start: StartDaemon) -> None:
    count = 200
    daemon = start(conf(BLOCK, server='drain_timeout = "100ms";'))
    at_rest = daemon.descriptors_at_rest()
    daemon.send_burst(50, "/block").close()
    daemon.until_descriptors(at_rest)
    before = daemon.resident_bytes()
    clients = [daemon.connect() for _ in range(count)]
    for client in clients:
        client.send(long_head("/block"))
    flood = request_bytes("GET", "/block") * 1000
    for _ in range(20):
        for client in clients:
            client.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.sock.send(flood)
        daemon.status()
    grown = held(daemon, before)
    print(f"{grown / count} each")
    assert SANITIZED or grown <= count * (HEAD_SIZE + BESIDES)
    assert grown >= count * (16 << 10), "the flood has not come"
    for client in clients:
        client.reset()
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0


def test_an_answer_that_is_not_read_fills_no_kernel_memory(
    start: StartDaemon, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(16 << 20))
    large = f'path = "/large"; action = "respond"; body_file = "{tmp_path}/large"'
    daemon = start(conf(large, server=PATIENT))
    client = daemon.connect(receive_buffer=4096)
    client.send_request("GET", "/large")
    assert client.sock.recv(8) == b"HTTP/1.1"
    for _ in range(20):
        daemon.status()
    (host, port), ours = client.sock.getpeername(), client.sock.getsockname()[1]
    queued = [
        int(fields[4].partition(":")[0], 16)
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{ours:04X}")
    ]
    assert len(queued) == 1 and 0 < queued[0] <= 512 << 10, f"{host}: {queued}"
    client.reset()
    assert daemon.stop() == 0


# --- as many as there can be ----------------------------------------------------------------------


@pytest.fixture
def all_descriptors() -> Iterator[int]:
    """Lets us have as many descriptors as the hard limit allows."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_ten_thousand_idle_connections(start: StartDaemon, all_descriptors: int) -> None:
    """Or as many as the descriptor limit allows."""
    count = min(10000, all_descriptors - 200)
    daemon = start(limited(count + 100), wrapper=with_descriptors(None))
    at_rest = daemon.descriptors_at_rest()
    daemon.burst(200, "/hello")
    daemon.until_descriptors(at_rest)
    before = daemon.resident_bytes()
    there: list[Connection] = []
    while len(there) < count:
        batch = [daemon.connect() for _ in range(min(500, count - len(there)))]
        for connection in batch:
            connection.send_requests([request_bytes("GET", "/hello")])
        for connection in batch:
            response = assert_served(connection)
            assert not response.closes
        there += batch
    grown = daemon.resident_bytes() - before
    assert SANITIZED or count < 1000 or grown <= 3 * 1024 * count, f"{grown / count} each"
    assert daemon.get("/hello").text == "hello"
    assert there[0].get("/hello").text == "hello"
    assert there[-1].get("/hello").text == "hello"
    for connection in there:
        connection.close()
    daemon.until_descriptors(at_rest)
    assert daemon.stop() == 0
