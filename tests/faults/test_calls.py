"""System calls fail with each of their errors, or do less than they are asked for."""

from __future__ import annotations



import contextlib

import pytest

from conftest import Begin
from harness import EXIT_CONFIG, EXIT_OK, EXIT_OSERR, EXIT_UNAVAILABLE, conf, until
from rawhttp import Connection

from subject import BIG, REQUESTS, Subject, shape


HELLO = 'path = "/hello"; action = "respond"; body = "hello"'

# ---- one call of a request ---------------------------------------------------------------------

GONE = None  # the connection ends without an answer
NO_SPACE = "ENOSPC EDQUOT"
NO_DESCRIPTOR = "EMFILE ENFILE ENOMEM"

# request: (calls and filters, errors, what comes of it)
FAILING = [
    ("dedicated", "pthread_create", "EAGAIN ENOMEM EPERM", {503}),
    ("file", "openat2 path=a.txt", f"{NO_DESCRIPTOR} EIO EINTR EAGAIN", {500, 503}),
    ("file", "openat2 path=a.txt", "EACCES EPERM", {403}),
    ("file", "openat2 path=a.txt", "ENOENT ENOTDIR ELOOP EXDEV ENAMETOOLONG", {404, 403}),
    ("file", "fstat path=a.txt", "EIO ENOMEM EOVERFLOW", {500}),
    ("file", "pread,read path=a.txt", "EIO EISDIR ENOMEM", {500}),
    ("html listing", "fdopendir", f"{NO_DESCRIPTOR} EIO", {500, 503}),
    ("html listing", "readdir", "EIO ENOENT", {500, GONE}),
    ("large file", "sendfile", "EIO ENOMEM EPIPE ECONNRESET EINVAL EOVERFLOW", {GONE}),
    ("respond", "recv", "ECONNRESET ETIMEDOUT ENOMEM EIO", {GONE}),
    ("respond", "send,sendmsg,write,writev fd=socket", "EPIPE ECONNRESET ENOBUFS ENOMEM EIO", {GONE}),
    ("upload", "openat", f"{NO_DESCRIPTOR} EIO", {500, 503}),
    ("upload", "write path=up/", NO_SPACE, {507}),
    ("upload", "write path=up/", "EFBIG", {507, 413, 500}),
    ("upload", "write path=up/", "EIO EROFS ENOMEM EPERM", {500, 403}),
    ("upload", "fsync path=up", NO_SPACE, {507}),
    ("upload", "fsync path=up", "EIO EROFS", {500, 403}),
    ("upload", "renameat2,linkat", NO_SPACE, {507}),
    ("upload", "renameat2,linkat", "EIO EACCES EPERM EROFS ENOENT EXDEV ENOMEM", {500, 403, 409}),
    ("exec", "pipe2", NO_DESCRIPTOR, {500, 503}),
    ("exec", "clone", "EAGAIN ENOMEM EPERM", {500, 503}),
    ("exec", "execve", "E2BIG", {413, 500}),
    ("exec", "execve", "ENOENT EACCES ENOEXEC ETXTBSY", {500}),
    ("exec", "fcntl fd=pipe", "EMFILE ENOMEM EINVAL", {500, 503}),
    ("exec", "read fd=pipe", "EIO EISDIR", {500, 200}),
    ("exec", "write fd=pipe", "EIO", {500, 200}),
    ("exec", "poll,ppoll thread=default times=3", "ENOMEM EINTR", {200}),
    ("resolve", "getaddrinfo", "EAI_AGAIN EAI_FAIL EAI_MEMORY EAI_SYSTEM", {500, 502, 503}),
    ("resolve", "getaddrinfo", "EAI_NONAME EAI_NODATA", {404}),
    ("resolve", "getaddrinfo", "EAI_FAMILY EAI_SERVICE", {404, 500, 502}),
]



@pytest.mark.parametrize(("name", "call", "errors", "wanted"), FAILING)
def test_failing(
    subject: Subject, name: str, call: str, errors: str, wanted: set[int | None]
) -> None:
    """The client is told, or loses this one connection; the next request is served."""
    usual = subject.ask(REQUESTS[name]).response
    assert usual is not None and usual.status in (200, 201)
    for error in errors.split():
        subject.connection()
        with subject.faults.armed(f"{call} errno={error}"):
            response = subject.ask(REQUESTS[name]).response
            assert subject.faults.done() > 0, (call, error)
        status = response.status if response is not None else None
        if response is not None and response.status == 200 and name == "large file":
            assert len(response.body) < BIG
        assert status in wanted, (call, error, status)
        again = subject.ask(REQUESTS[name]).response
        assert again is not None and again.status in (200, 201), (call, error)
    assert not [f for f in (subject.directory / "up").iterdir() if f.name not in ("x", "y")]
    subject.stops_whole()


# Calls that may have to be made again, or that nothing depends on.
PASSING = [
    ("respond", "recv times=3", "EAGAIN EINTR"),
    ("respond", "epoll_wait times=3", "EINTR"),
    ("respond", "send,sendmsg,write,writev fd=socket times=1", "EAGAIN EINTR"),
    ("respond", "write path=access.log", "ENOSPC EDQUOT EIO EFBIG"),
    ("large file", "sendfile times=3", "EAGAIN EINTR"),
    ("sleep", "write fd=anonymous times=1", "EINTR"),
    ("exec", "read fd=pipe times=3", "EAGAIN EINTR"),
    ("exec", "write fd=pipe times=3", "EAGAIN EINTR"),
    ("exec", "wait4 times=3", "EINTR"),
    ("upload", "write path=up/ times=3", "EINTR"),
]


@pytest.mark.parametrize(("name", "call", "errors"), PASSING)
def test_passing(subject: Subject, name: str, call: str, errors: str) -> None:
    """The client sees nothing of it."""
    usual = subject.ask(REQUESTS[name]).response
    usual = subject.ask(REQUESTS[name]).response
    assert usual is not None
    for error in errors.split():
        subject.connection()
        with subject.faults.armed(f"{call} errno={error}"):
            response = subject.ask(REQUESTS[name]).response
            until(lambda: subject.ask(REQUESTS[name]) and subject.faults.done() > 0, call)
        assert response is not None and shape(response) == shape(usual), (call, error)
    subject.stops_whole()


ACCEPT_ERRORS = "EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EPROTO EPERM EINTR EAGAIN ENETDOWN"


@pytest.mark.parametrize("error", ACCEPT_ERRORS.split())
def test_accept(subject: Subject, error: str) -> None:
    """The connection waits until it can be accepted; nobody spins for it."""
    with subject.faults.armed(f"accept4 times=2 errno={error}"):
        assert subject.daemon.get("/hello").status == 200
        assert subject.faults.done() > 0
    subject.stops_whole()


@pytest.mark.parametrize("error", ["ENOMEM", "ENOSPC"])
def test_not_watched(begin: Begin, error: str) -> None:
    """A connection that cannot be watched is closed when its time is up, and nothing else happens."""
    subject = begin(conf(HELLO, server='header_timeout = "200ms"; drain_timeout = "100ms";'))
    with subject.faults.armed(f"epoll_ctl fd=socket errno={error}"):
        with Connection(subject.daemon.address()) as connection:
            connection.send_requests([REQUESTS["respond"]])
            with contextlib.suppress(ConnectionError):
                connection.read_eof()
            assert subject.faults.done() > 0
    subject.daemon.reload(conf(HELLO))  # the next clients may be slow
    subject.stops_whole()


# ---- at the start ------------------------------------------------------------------------------

STARTING = [
    ("pthread_create", "EAGAIN"),
    ("eventfd", "EMFILE"),
    ("signalfd", "EMFILE"),
    ("timerfd_create", "ENFILE"),
    ("getrandom", "ENOSYS"),
    ("socket", "EMFILE"),
    ("bind", "EADDRINUSE"),
    ("bind", "EACCES"),
    ("listen", "EADDRINUSE"),
    ("setsockopt", "ENOMEM"),
    ("fcntl", "EMFILE"),
    ("getsockname", "ENOBUFS"),
    ("open", "EMFILE"),
    ("fopen", "EMFILE"),
    ("getaddrinfo", "EAI_MEMORY"),
]


@pytest.mark.parametrize(("call", "error"), STARTING)
def test_start(begin_unready: Begin, call: str, error: str) -> None:
    """Each call of its kind in turn: it starts, or ends with the code for that and says why."""
    n, failed, codes = 0, 1, set()
    while failed:
        n += 1
        subject = begin_unready(None, f"{call} errno={error} nth={n}")
        daemon = subject.daemon
        text, failed = subject.start_or_end()
        if "READY=1" in text:
            assert daemon.get("/hello").text == "hello"
            assert daemon.stop() == EXIT_OK
        else:
            codes.add(daemon.wait_exit(None))
            assert daemon.log.strip(), (call, n)
    assert codes <= {EXIT_OSERR, EXIT_UNAVAILABLE, EXIT_CONFIG}, codes
    assert codes or call in ("setsockopt", "fcntl", "open", "socket"), "it failed nothing"


def test_start_without_epoll(begin_unready: Begin) -> None:
    """libevent's other mechanisms will not do."""
    subject = begin_unready(None, "epoll_create1 errno=EMFILE")
    subject.daemon.wait_exit(EXIT_OSERR)
    assert "cannot start: " in subject.daemon.log
