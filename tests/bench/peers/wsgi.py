"""gunicorn peer: every request runs on one of the worker's threads."""

import time


def sleep():
    time.sleep(0.05)


def spin():
    until = time.thread_time_ns() + 1_000_000
    while time.thread_time_ns() < until:
        pass


WORK = {"/hello": None, "/noop": None, "/sleep": sleep, "/spin": spin}
BODY = b"Hello World!"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    work = WORK[environ["PATH_INFO"]]
    if work:
        work()
    start_response("200 OK", HEADERS)
    return [BODY]
