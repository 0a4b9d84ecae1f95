"""Methods: what a route takes, HEAD, OPTIONS and 405."""

from __future__ import annotations

import pytest

from harness import Client

# Differ between two answers to the same request.
OWN_TO_EACH_ANSWER = {"date", "x-request-id"}

STEADY_PATHS = [
    "/hello",
    "/plain",
    "/gone",
    "/nothing",
    "/headers",
    "/header_list",
    "/moved",
    "/delay",
    "/live",
    "/sleep",
    "/spin",
    "/threads",
    "/no/such/route",
]


@pytest.mark.parametrize("path", STEADY_PATHS)
def test_head_is_get_without_the_body(common: Client, path: str) -> None:
    with common.connect() as connection:
        get = connection.get(path)
        head = connection.request("HEAD", path)
        # Had HEAD brought a body, it would stand in the way of this answer.
        after = connection.get("/hello")
    assert head.status == get.status
    assert [f for f in head.fields if f[0].lower() not in OWN_TO_EACH_ANSWER] == [
        f for f in get.fields if f[0].lower() not in OWN_TO_EACH_ANSWER
    ]
    assert head.body == b""
    assert after.text == "Hello World!"


def test_head_tells_the_length_that_get_would_have(common: Client) -> None:
    assert common.request("HEAD", "/hello").header("Content-Length") == str(len("Hello World!"))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/hello", {"GET", "HEAD", "OPTIONS"}),
        ("/write", {"PUT", "DELETE", "OPTIONS"}),
        ("/split", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/sleep", {"GET", "HEAD", "OPTIONS"}),
        ("/way/here", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/way/there", {"POST", "OPTIONS"}),
    ],
)
def test_options_lists_what_the_path_takes(common: Client, path: str, allowed: set[str]) -> None:
    response = common.request("OPTIONS", path)
    assert response.status in (200, 204)
    assert response.tokens("Allow") >= allowed
    assert response.body == b""


@pytest.mark.parametrize(("path", "allowed"), [("/write", {"PUT", "DELETE", "OPTIONS"})])
def test_options_lists_nothing_else(common: Client, path: str, allowed: set[str]) -> None:
    assert common.request("OPTIONS", path).tokens("Allow") == allowed


def test_options_of_an_unknown_path_is_404(common: Client) -> None:
    assert common.request("OPTIONS", "/none").json()["reason"] == "no_route"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/hello", {"GET", "HEAD", "OPTIONS"}),
        ("GET", "/write", {"PUT", "DELETE", "OPTIONS"}),
        ("HEAD", "/write", {"PUT", "DELETE", "OPTIONS"}),
        ("PUT", "/split", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("GET", "/way/there", {"POST", "OPTIONS"}),
    ],
)
def test_another_method_is_405_with_allow(
    common: Client, method: str, path: str, allowed: set[str]
) -> None:
    response = common.request(method, path)
    assert response.status == 405
    assert response.tokens("Allow") >= allowed
    assert method not in response.tokens("Allow")
    if method != "HEAD":
        assert response.header("Content-Type") == "application/problem+json"
        assert response.json()["status"] == 405


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("PUT", "/write", "written"),
        ("DELETE", "/write", "written"),
        ("GET", "/split", "read"),
        ("POST", "/split", "posted"),
        ("GET", "/way/here", "literal"),
        ("POST", "/way/here", "segment"),
        ("POST", "/way/there", "segment"),
    ],
)
def test_a_route_takes_its_methods(common: Client, method: str, path: str, text: str) -> None:
    response = common.request(method, path)
    assert (response.status, response.text) == (200, text)


def test_the_body_of_a_refused_request_is_not_the_next_request(common: Client) -> None:
    with common.connect() as connection:
        refused = connection.request("PUT", "/hello", body=b"GET /gone HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused.status == 405
        if not refused.closes:
            assert connection.get("/hello").status == 200
