"""Which route a request takes."""

from __future__ import annotations

import pytest

from conftest import StartDaemon
from harness import Client, conf

PATTERNS = ["/r/*", "/r/{id}", "/r/exact", "/r/{id}/log", "/r/exact/log", "/r/deep/*"]


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/", "root"),
        ("/r/exact", "/r/exact"),
        ("/r/other", "/r/{id}"),
        ("/r/exactly", "/r/{id}"),
        ("/r/exac", "/r/{id}"),
        ("/r/exact/log", "/r/exact/log"),
        ("/r/other/log", "/r/{id}/log"),
        ("/r/exact/other", "/r/*"),
        ("/r/other/other", "/r/*"),
        ("/r/", "/r/*"),
        ("/r/a/b/c/d", "/r/*"),
        ("/r/exact/", "/r/*"),
        ("/r/deep/x", "/r/deep/*"),
        ("/r/deep/x/y", "/r/deep/*"),
        ("/r/deep/log", "/r/deep/*"),
        ("/r/deep/x/leaf", "/r/deep/{x}/leaf"),
        ("/r/deep", "/r/{id}"),
    ],
)
def test_the_most_specific_route_wins(common: Client, target: str, route: str) -> None:
    response = common.get(target)
    assert (response.status, response.text) == (200, route)


@pytest.mark.parametrize("patterns", [PATTERNS, PATTERNS[::-1]], ids=["forwards", "backwards"])
def test_the_order_in_the_file_does_not_matter(start: StartDaemon, patterns: list[str]) -> None:
    daemon = start(conf(*(f'path = "{p}"; action = "respond"; body = "{p}"' for p in patterns)))
    targets = ["/r/a/b", "/r/a", "/r/exact", "/r/a/log", "/r/exact/log", "/r/deep/a"]
    assert [daemon.get(target).text for target in targets] == PATTERNS


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/r/exact?", "/r/exact"),
        ("/r/exact?a=/r/other", "/r/exact"),
        ("/r/exact?x?y", "/r/exact"),
        ("/r/other?/log", "/r/{id}"),
    ],
)
def test_the_query_takes_no_part(common: Client, target: str, route: str) -> None:
    assert common.get(target).text == route


def test_an_absolute_target(start: StartDaemon) -> None:
    """RFC 9112, 3.2.2; the host that it names takes the place of the field's."""
    daemon = start(conf('path = "/*"; action = "echo"'))
    for target, host, path, query in (
        ("http://a/b", "a", "/b", ""),
        ("http://a/b?q", "a", "/b", "q"),
        ("http://a/%62?%71", "a", "/b", "%71"),
        ("http://a/b?", "a", "/b", ""),
        ("http://a?q", "a", "/", "q"),
        ("http://a?/b", "a", "/", "/b"),
        ("http://a?", "a", "/", ""),
        ("http://a", "a", "/", ""),
        ("HTTP://a:80/", "a:80", "/", ""),
        ("http://a//b?q", "a", "/b", "q"),
    ):
        found = daemon.get(target).json()
        assert (found["path"], found["query"]) == (path, query), target
        assert found["headers"]["Host"] == host, target


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/r/ex%61ct", "/r/exact"),
        ("/%72/%65%78%61%63%74", "/r/exact"),
        ("/r/ex%61ct/lo%67", "/r/exact/log"),
        ("/caf%C3%A9", "café"),
        ("/caf%c3%a9", "café"),
        ("/r/%65x%20act", "/r/{id}"),
    ],
)
def test_escapes_are_decoded_before_the_match(common: Client, target: str, text: str) -> None:
    assert common.get(target).text == text


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/r//exact", "/r/exact"),
        ("/r/./exact", "/r/exact"),
        ("/r/x/../exact", "/r/exact"),
        ("/r/deep/../exact/./log", "/r/exact/log"),
        ("/r/x/%2e%2e/exact", "/r/exact"),
    ],
)
def test_paths_are_normalised_before_the_match(common: Client, target: str, text: str) -> None:
    assert common.get(target).text == text


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("/params/1/and/2", {"one": "1", "two": "2"}),
        ("/params/a%20b/and/%C3%A4", {"one": "a b", "two": "ä"}),
        ("/params/and/and/and", {"one": "and", "two": "and"}),
        ("/params/a+b/and/%25", {"one": "a+b", "two": "%"}),
        ("/tree/me/a", {"owner": "me", "rest": "a"}),
        ("/tree/me/a/b/c.txt", {"owner": "me", "rest": "a/b/c.txt"}),
        ("/tree/me/", {"owner": "me", "rest": ""}),
    ],
)
def test_named_segments_and_the_rest_reach_the_action(
    common: Client, target: str, params: dict[str, str]
) -> None:
    assert common.get(target).json()["params"] == params


@pytest.mark.parametrize(
    "target",
    [
        "/none",
        "/hello/",
        "/hell",
        "/helloo",
        "/Hello",
        "/R/exact",
        "/r",
        "/params/1/and/",
        "/params//and/2",
    ],
)
def test_no_route_is_404_with_the_reason(common: Client, target: str) -> None:
    response = common.get(target)
    assert response.status == 404
    assert response.header("Content-Type") == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 404
    assert problem["reason"] == "no_route"
    assert problem["type"] and problem["title"]


def test_a_configuration_without_routes_knows_no_path(start: StartDaemon) -> None:
    daemon = start('listeners: { main: { address = "127.0.0.1:0"; }; };')
    assert daemon.get("/").json()["reason"] == "no_route"


def test_a_thousand_routes(start: StartDaemon) -> None:
    routes = [f'path = "/n/{i}/x"; action = "respond"; body = "{i}"' for i in range(1000)]
    daemon = start(conf(*routes))
    with daemon.connect() as connection:
        for i in range(1000):
            assert connection.get(f"/n/{i}/x").text == str(i)
        assert connection.get("/n/1000/x").status == 404
