"""Raw requests and what must come of them, by section of the RFCs.  Data only.

The daemon that they are sent to has MAX_HEADER_SIZE and MAX_BODY_SIZE as its limits, and the routes
/hello (GET; answers "hello"), /echo (every method; answers with the request's body) and /smuggled
(every method), which tells that it was reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence, Union

MAX_HEADER_SIZE = 8192
MAX_BODY_SIZE = 65536
MAX_FIELDS = 100
MAX_TRAILER = 4096

# Where several statuses are right, any of them.
Status = Union[int, "tuple[int, ...]"]


@dataclass(frozen=True)
class Probe:
    name: str
    section: str
    raw: bytes  # sent at once
    statuses: tuple[Status, ...]  # of the final answers (1xx is not counted), in order
    after: str  # "open" or "closed": the connection, once the last answer has come
    hidden: bool  # raw holds a request for /smuggled that is not one and must not run
    methods: tuple[str, ...]  # of the requests answered: an answer to HEAD has no body


PROBES: list[Probe] = []

CRLF = b"\r\n"
HOST = b"Host: test\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"0\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"


def good(
    section: str,
    name: str,
    raw: bytes,
    statuses: Sequence[Status] = (200,),
    after: str = "open",
    hidden: bool = False,
    methods: Sequence[str] = (),
) -> None:
    methods = tuple(methods) or ("GET",) * len(statuses)
    PROBES.append(Probe(name, section, raw, tuple(statuses), after, hidden, methods))


def bad(section: str, name: str, raw: bytes, status: Status = 400, hidden: bool = False) -> None:
    """One answer, and the connection ends."""
    good(section, name, raw, (status,), "closed", hidden)


def hides(section: str, name: str, raw: bytes, status: Status = 400) -> None:
    """As `bad`, with a hidden request."""
    bad(section, name, raw, status, hidden=True)


def bad_after(section: str, name: str, raw: bytes, *statuses: Status, hidden: bool = False) -> None:
    """Some answers, the last of which is a refusal."""
    good(section, name, raw, statuses, "closed", hidden)


def line(text: bytes) -> bytes:
    """A request line; the rest of the head is as it should be."""
    return text + CRLF + HOST + CRLF


def get(*fields: bytes, target: bytes = b"/hello") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"".join(f + CRLF for f in fields) + CRLF


def hosted(*fields: bytes) -> bytes:
    """Without the usual Host."""
    return b"GET /hello HTTP/1.1\r\n" + b"".join(f + CRLF for f in fields) + CRLF


def post(*fields: bytes, body: bytes = b"", method: bytes = b"POST") -> bytes:
    head = method + b" /echo HTTP/1.1\r\n" + HOST + b"".join(f + CRLF for f in fields) + CRLF
    return head + body


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length: " + value, body=body)


def chunks(*pieces: bytes) -> bytes:
    return post(CHUNKED, body=b"".join(pieces))


def sized(body: bytes, method: bytes = b"POST") -> bytes:
    return post(b"Content-Length: %d" % len(body), body=body, method=method)


def padded(size: int) -> bytes:
    """A request whose head has exactly `size` bytes."""
    rest = len(get(b"X: "))
    return get(b"X: " + b"x" * (size - rest))


# --- RFC 9112, 2.1 and 2.2: message format, line ends, empty lines -------------------------------

S = "RFC 9112 2.1"
good(S, "the least request", get())
good(S, "two at once", get() + get(), (200, 200))
good(S, "ten at once", get() * 10, (200,) * 10)
good(S, "a body and the next request", sized(b"hello") + get(), (200, 200))
bad_after(S, "a good one, then junk", get() + b"\x00\x01\x02", 200, 400)
bad_after(S, "a good one, then a bad one", get() + hosted() + SMUGGLED, 200, 400, hidden=True)
hides(S, "a bad one, then a good one", hosted() + SMUGGLED)

S = "RFC 9112 2.2"
good(S, "an empty line first", CRLF + get())
good(S, "two empty lines first", CRLF * 2 + get())
good(S, "an empty line between", get() + CRLF + get(), (200, 200))
good(S, "an empty line behind a body", sized(b"hello") + CRLF + get(), (200, 200))
bad(S, "very many empty lines first", CRLF * 1000 + get())
bad(S, "LF first", b"\n" + get())
bad(S, "CR first", b"\r" + get())
bad(S, "CR CR LF first", b"\r\r\n" + get())
bad(S, "a space first", b" " + get())
bad(S, "a tab first", b"\t" + get())
bad(S, "a line of spaces", b"   \r\n\r\n")
bad(S, "a NUL first", b"\0" + get())
bad(S, "a byte order mark first", b"\xef\xbb\xbf" + get())
bad(S, "LF ends the request line", b"GET /hello HTTP/1.1\n" + HOST + CRLF)
bad(S, "LF ends a field", b"GET /hello HTTP/1.1\r\nHost: test\n\r\n")
bad(S, "LF ends the head", b"GET /hello HTTP/1.1\r\n" + HOST + b"\n")
bad(S, "LF ends every line", b"GET /hello HTTP/1.1\nHost: test\n\n")
bad(S, "CR ends the request line", b"GET /hello HTTP/1.1\r" + HOST + CRLF)
bad(S, "CR ends every line", b"GET /hello HTTP/1.1\rHost: test\r\rX")
bad(S, "CR CR LF ends the request line", b"GET /hello HTTP/1.1\r\r\n" + HOST + CRLF)
bad(S, "CR CR LF ends the head", b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\r\n")
bad(S, "CR in the request line", line(b"GET /hel\rlo HTTP/1.1"))
bad(S, "CR in a value", get(b"X: a\rb"))
bad(S, "CR that begins a field", get(b"X: a\rY: b"))
bad(S, "CR at the end of a value", get(b"X: a\r"))
bad(S, "a blank behind the request line", b"GET /hello HTTP/1.1\r\n " + HOST + CRLF)
bad(S, "a tab behind the request line", b"GET /hello HTTP/1.1\r\n\t" + HOST + CRLF)
bad(S, "a line of blanks behind the request line", b"GET /hello HTTP/1.1\r\n \r\n" + HOST + CRLF)
hides(S, "an LF hides a request", get(b"X: a\n\nGET /smuggled HTTP/1.1\nHost: test\n"))
hides(S, "CRs hide a request", get(b"X: a\r\rGET /smuggled HTTP/1.1\rHost: test\r"))

# --- RFC 9112, 2.3 and 3: versions and the request line ------------------------------------------

S = "RFC 9112 2.3"
good(S, "HTTP/1.0", line(b"GET /hello HTTP/1.0"), after="closed")
good(S, "HTTP/1.2", line(b"GET /hello HTTP/1.2"))
good(S, "HTTP/1.9", line(b"GET /hello HTTP/1.9"))
bad(S, "no version", b"GET /hello\r\n")
bad(S, "no version, LF", b"GET /hello\n")
bad(S, "no version, then fields", b"GET /hello\r\n" + HOST + CRLF)
for version in (b"0.9", b"2.0", b"2", b"3.0", b"9.9"):
    bad(S, "HTTP/" + version.decode(), line(b"GET /hello HTTP/" + version), 505)
for version in (b"1", b"1.", b".1", b"1.10", b"11.1", b"1,1", b"1.x", b"x.1", b"-1.1",
                b"+1.1", b"1 .1", b"1.1x", b"1.1\t", b"1.1 ", b"1..1", b"\x001.1", b""):
    bad(S, f"HTTP/{version.decode()!r}", line(b"GET /hello HTTP/" + version))
for name in (b"http/1.1", b"Http/1.1", b"HTTPS/1.1", b"HTP/1.1", b"HTTP /1.1", b"HTTP/ 1.1",
             b"HTTP-1.1", b"ICY/1.1", b"1.1"):
    bad(S, f"{name.decode()} for a version", line(b"GET /hello " + name))
bad(S, "HTTP/01.1", line(b"GET /hello HTTP/01.1"), (400, 505))
bad("RFC 9113 3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)

S = "RFC 9112 3"
bad(S, "two spaces behind the method", line(b"GET  /hello HTTP/1.1"))
bad(S, "two spaces behind the target", line(b"GET /hello  HTTP/1.1"))
bad(S, "a tab behind the method", line(b"GET\t/hello HTTP/1.1"))
bad(S, "a tab behind the target", line(b"GET /hello\tHTTP/1.1"))
bad(S, "a vertical tab behind the method", line(b"GET\v/hello HTTP/1.1"))
bad(S, "a form feed behind the target", line(b"GET /hello\fHTTP/1.1"))
bad(S, "a no-break space behind the method", line(b"GET\xa0/hello HTTP/1.1"))
bad(S, "no target", line(b"GET HTTP/1.1"))
bad(S, "an empty target", line(b"GET  HTTP/1.1"))
bad(S, "a method alone", line(b"GET"))
bad(S, "four words", line(b"GET /hello x HTTP/1.1"))
bad(S, "the handshake of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 32)
bad(S, "the greeting of SSH", b"SSH-2.0-OpenSSH_9.2\r\n")
bad(S, "a word", b"hello\r\n")
bad(S, "an answer", b"HTTP/1.1 200 OK\r\n\r\n")
bad(S, "JSON", b'{"a": 1}\r\n\r\n')
bad(S, "a long method", b"A" * 1000 + b" /hello HTTP/1.1\r\n" + HOST + CRLF, 501)
bad(S, "a method that does not end", b"A" * (MAX_HEADER_SIZE + 1), 501)
bad(S, "a target past the limit", get(target=b"/" + b"a" * MAX_HEADER_SIZE), 414)
bad(S, "a target that does not end", b"GET /" + b"a" * (MAX_HEADER_SIZE + 1), 414)
bad(S, "a query past the limit", get(target=b"/hello?" + b"a" * MAX_HEADER_SIZE), 414)

# --- RFC 9110, 9: methods ------------------------------------------------------------------------

S = "RFC 9110 9.1"
for method in (b"GET", b"PUT", b"PATCH", b"DELETE", b"POST"):
    good(S, method.decode(), post(method=method))
for method in (b"BREW", b"get", b"Get", b"GE", b"GETT", b"PROPFIND", b"SEARCH", b"LINK", b"POST!"):
    bad(S, f"the unknown method {method.decode()}", line(method + b" /hello HTTP/1.1"), 501)
for method in (b"GE/T", b"GET\0", b'"GET"', b"GET:", b"G(T", b"\x7fGET", b"G\xc3\x89T", b"G@T"):
    bad(S, f"the malformed method {method!r}", line(method + b" /hello HTTP/1.1"))
hides(S, "an unknown method and a request", line(b"BREW /a HTTP/1.1") + SMUGGLED, 501)

S = "RFC 9110 9.3.2"
good(S, "HEAD", line(b"HEAD /hello HTTP/1.1"), methods=("HEAD",))
good(S, "HEAD, then GET", line(b"HEAD /hello HTTP/1.1") + get(), (200, 200),
     methods=("HEAD", "GET"))
good(S, "HEAD with a body that is a request",
     sized(SMUGGLED, b"HEAD") + get(), (200, 200), hidden=True, methods=("HEAD", "GET"))
good(S, "HEAD with chunks that hold a request",
     post(CHUNKED, body=b"%x\r\n" % len(SMUGGLED) + SMUGGLED + CRLF + LAST, method=b"HEAD") + get(),
     (200, 200), hidden=True, methods=("HEAD", "GET"))
S = "RFC 9110 9.3.6"
bad(S, "CONNECT", line(b"CONNECT test:443 HTTP/1.1"), 501)
hides(S, "CONNECT, then a request", line(b"CONNECT test:443 HTTP/1.1") + SMUGGLED, 501)
bad(S, "CONNECT with a path", line(b"CONNECT /hello HTTP/1.1"), 501)
S = "RFC 9110 9.3.8"
bad(S, "TRACE", line(b"TRACE /hello HTTP/1.1"), 405)
bad(S, "TRACE with Max-Forwards", b"TRACE / HTTP/1.1\r\n" + HOST + b"Max-Forwards: 0\r\n\r\n", 405)
hides(S, "TRACE with a body", sized(SMUGGLED, b"TRACE"), 405)
S = "RFC 9110 9.3.1"
for method in (b"GET", b"DELETE", b"OPTIONS", b"PATCH", b"PUT"):
    good(S, f"{method.decode()} with a body that is a request",
         sized(SMUGGLED, method) + get(), ((200, 204), 200), hidden=True)
good(S, "GET with chunks that hold a request",
     post(CHUNKED, body=b"%x\r\n" % len(SMUGGLED) + SMUGGLED + CRLF + LAST, method=b"GET") + get(),
     (200, 200), hidden=True)

# --- RFC 9112, 3.2: targets ----------------------------------------------------------------------

S = "RFC 9112 3.2.1"
good(S, "a query", get(target=b"/hello?a=b&c"))
good(S, "an empty query", get(target=b"/hello?"))
good(S, "a query with questions", get(target=b"/hello?a?b?"))
good(S, "a query of && and =", get(target=b"/hello?&&=&"))
good(S, "a query with slashes", get(target=b"/hello?/a//b/../c"))
good(S, "an escaped letter", get(target=b"/%68ello"))
good(S, "an escaped space in the query", get(target=b"/hello?a%20b"))
good(S, "an escaped CR LF in the query", get(target=b"/hello?a%0d%0aX:%20y"))
good(S, "what browsers leave unescaped", get(target=b"/hello?a|b[c]{\"d\"}<e>\\^`'"))
good(S, "two slashes are no authority", get(target=b"//smuggled/x"), (404,))
good(S, "a URI within the path", get(target=b"/http://test/smuggled"), (404,))
for target in (b"hello", b"../hello", b"?a", b"%2fhello", b"\\hello", b"test", b"@test", b";",
               b"\"/hello\"", b"</hello>"):
    bad(S, f"the target {target.decode()}", get(target=target))
S = "RFC 9112 3.2"
bad(S, "a space in the target", get(target=b"/hel lo"))
for byte in (0x00, 0x01, 0x08, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f, 0x80, 0xa0, 0xff):
    bad(S, f"byte {byte:02x} in the target", get(target=b"/hel" + bytes([byte]) + b"lo"))
    bad(S, f"byte {byte:02x} in the query", get(target=b"/hello?" + bytes([byte])))
bad(S, "UTF-8 in the target", get(target="/héllo".encode()))
bad(S, "a fragment", get(target=b"/hello#a"))
bad(S, "an empty fragment", get(target=b"/hello#"))
bad(S, "a fragment in the query", get(target=b"/hello?a#b"))
bad(S, "a fragment alone", get(target=b"#a"))
S = "RFC 3986 2.1"
for escape in (b"%", b"%4", b"%4g", b"%g4", b"%%41", b"%u0041", b"% 41", b"%-1", b"%+1", b"%0x"):
    bad(S, f"the escape {escape.decode()}", get(target=b"/hello" + escape))
bad(S, "a broken escape in the query", get(target=b"/hello?a=100%"))
bad("RFC 3986 7.3", "an escaped NUL", get(target=b"/hello%00"))
hides("RFC 3986 7.3", "an escaped NUL, then an extension", get(target=b"/smuggled%00.jpg"))
bad("RFC 3986 7.3", "an escaped NUL in the query", get(target=b"/hello?a=%00"))
S = "RFC 9112 3.2.2"
good(S, "absolute-form", get(target=b"http://test/hello"))
good(S, "absolute-form with a query", get(target=b"http://test/hello?a=b"))
good(S, "absolute-form with a port", get(target=b"http://test:8080/hello"))
good(S, "absolute-form in capitals", get(target=b"HTTP://TEST/hello"))
good(S, "absolute-form, another host", get(target=b"http://other/hello"))
good(S, "absolute-form, an IPv6 address", get(target=b"http://[::1]:80/hello"))
good(S, "absolute-form in HTTP/1.0", b"GET http://test/hello HTTP/1.0\r\n\r\n", after="closed")
bad(S, "absolute-form without Host", b"GET http://test/hello HTTP/1.1\r\n\r\n")
bad(S, "absolute-form, Host twice", get(b"Host: test", target=b"http://test/hello"))
bad(S, "absolute-form, Host malformed", b"GET http://test/hello HTTP/1.1\r\nHost: a b\r\n\r\n")
for target in (b"ftp://test/hello", b"http:test/hello", b"http:/hello", b"http://", b"http",
               b"file:///hello", b"urn:hello", b"http:///hello", b"http://:80/hello",
               b"http://u@test/hello", b"http://u:p@test/hello", b"http://test:x/hello",
               b"http://test:65536/hello", b"http://te\\st/hello", b"http://[::1/hello",
               b"http://test%/hello", b"http://test#/hello", b"://test/hello"):
    bad(S, f"the URI {target.decode()}", get(target=target))
for target in (b"https://test/hello", b"HTTPS://test", b"https://test:443/hello?a"):
    bad("RFC 9110 7.4", f"the URI {target.decode()}", get(target=target), 421)
bad("RFC 9112 3.2.3", "authority-form", get(target=b"test:80"))
S = "RFC 9112 3.2.4"
good(S, "OPTIONS *", line(b"OPTIONS * HTTP/1.1"), ((200, 204),))
good(S, "OPTIONS *, then GET", line(b"OPTIONS * HTTP/1.1") + get(), ((200, 204), 200))
good(S, "OPTIONS of a path", line(b"OPTIONS /hello HTTP/1.1"), ((200, 204),))
for method in (b"GET", b"POST", b"PUT", b"DELETE"):
    bad(S, f"{method.decode()} *", line(method + b" * HTTP/1.1"))
bad(S, "OPTIONS *a", line(b"OPTIONS *a HTTP/1.1"))
bad(S, "OPTIONS **", line(b"OPTIONS ** HTTP/1.1"))
bad(S, "OPTIONS *?a", line(b"OPTIONS *?a HTTP/1.1"))

# --- RFC 9112, 3.2: Host -------------------------------------------------------------------------

S = "RFC 9112 3.2 Host"
for value in (b"test", b"TEST", b"test:8080", b"test:", b"test:65535", b"test.", b"127.0.0.1",
              b"127.0.0.1:80", b"[::1]", b"[::1]:80", b"[::ffff:1.2.3.4]", b"xn--caf-dma.example",
              b"a_b", b"a-b.c", b"%41", b" test\t"):
    good(S, f"Host: {value.decode()!r}", hosted(b"Host: " + value))
for value in (b"", b" ", b"a b", b"a, b", b"a,b", b"a/b", b"/", b"a?b", b"a#b", b"u@a", b"http://a",
              b":80", b"a:b", b"a:+80", b"a:-1", b"a:80:80", b"a:80x", b"a:65536", b"a:4294967376",
              b"::1", b"[::1", b"[]", b"[a]", b"[::1]a", b"[::1]:x", b"[fe80::1%25lo]",
              b"[1.2.3.4]",
              b"a%4", b"a%", b"a%00", b"caf\xc3\xa9", b"a\\b", b"<a>", b'"a"', b"a;b c", b"a\tb"):
    bad(S, f"Host: {value!r}", hosted(b"Host: " + value))
good(S, "HTTP/1.0 without Host", b"GET /hello HTTP/1.0\r\n\r\n", after="closed")
good(S, "in capitals", hosted(b"HOST:test"))
good(S, "behind other fields", hosted(b"X: y", b"Host: test"))
bad(S, "none", hosted())
bad(S, "none but others", hosted(b"X: y"))
bad(S, "none in HTTP/1.2", b"GET /hello HTTP/1.2\r\n\r\n")
bad(S, "two", get(b"Host: other"))
bad(S, "two alike", get(b"Host: test"))
bad(S, "two, far apart", get(b"X: y", b"Z: z", b"hOST: test"))
bad(S, "two in HTTP/1.0", b"GET /hello HTTP/1.0\r\n" + HOST * 2 + CRLF)
bad(S, "a malformed one in HTTP/1.0", b"GET /hello HTTP/1.0\r\nHost: a b\r\n\r\n")
bad(S, "a space before the colon", hosted(b"Host : test"))
bad(S, "folded", hosted(b"Host: test\r\n x"))

# --- RFC 9112, 5 and RFC 9110, 5: fields ---------------------------------------------------------

S = "RFC 9112 5"
for field in (b"X:y", b"X:", b"X: \t ", b"X: \t y \t ", b"X: a:b::c", b"X: a\tb", b"X: caf\xc3\xa9",
              b"X: \x80\xff", b"!#$%&'*+-.^_`|~09azAZ: y", b"X_Y: z", b"0: 1",
              b"X: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"):
    good(S, f"the field {field!r}", get(field))
good(S, "the same name twice", get(b"X: a", b"X: b"))
for field in (b"X", b"X y", b": y", b":", b"::", b"X[: y", b"X/Y: y", b'"X": y', b"X(: y",
              b"X@Y: y",
              b"{X}: y", b"X,Y: y", b"X;Y: y", b"X=Y: y", b"X\\Y: y", b"X?: y", b"<X>: y",
              b"\x01X: y", b"X\x01: y", b"X\x7f: y", b"X\x00: y", b"X\xc3\xab: y", b"X\xa0: y",
              b"X\v: y", b"\xffX: y"):
    bad(S, f"the field {field!r}", get(field))
S = "RFC 9112 5.1"
for field in (b"X : y", b"X\t: y", b"X  : y", b"X Y: y"):
    bad(S, f"the field {field!r}", get(field))
bad(S, "a space behind Content-Length", post(b"Content-Length : 5", body=b"hello"))
hides(S, "a space behind Content-Length hides a request",
      post(b"Content-Length : %d" % len(SMUGGLED), body=SMUGGLED))
hides(S, "a space behind Transfer-Encoding hides a request",
      post(b"Transfer-Encoding : chunked", b"Content-Length: 5", body=LAST + SMUGGLED))
bad(S, "a tab behind Transfer-Encoding", post(b"Transfer-Encoding\t: chunked", body=LAST))
S = "RFC 9112 5.2"
bad(S, "a folded line", get(b"X: a\r\n b"))
bad(S, "a line folded with a tab", get(b"X: a\r\n\tb"))
bad(S, "an empty folded line", get(b"X: a\r\n "))
hides(S, "a folded Transfer-Encoding",
      post(b"Transfer-Encoding: chunked\r\n ,identity", body=LAST + SMUGGLED))
hides(S, "a Transfer-Encoding folded at once",
      post(b"Content-Length: 5", b"Transfer-Encoding:\r\n chunked", body=LAST + SMUGGLED))
hides(S, "a folded Content-Length",
      post(b"Content-Length: 1\r\n 0", body=b"0123456789" + SMUGGLED))
S = "RFC 9110 5.5"
for byte in (0x00, 0x01, 0x07, 0x08, 0x0b, 0x0c, 0x0e, 0x1b, 0x1f, 0x7f):
    bad(S, f"byte {byte:02x} in a value", get(b"X: a" + bytes([byte]) + b"b"))
bad(S, "a NUL at the end of a value", get(b"X: a\0"))
S = "RFC 6585 5"
good(S, "as many fields as allowed", get(*(b"X-%d: y" % i for i in range(MAX_FIELDS - 1))))
bad(S, "a field too many", get(*(b"X-%d: y" % i for i in range(MAX_FIELDS))), 431)
bad(S, "very many fields", get(*(b"X: y" for _ in range(1200))), 431)
good(S, "a head as long as allowed", padded(MAX_HEADER_SIZE))
bad(S, "a byte too many", padded(MAX_HEADER_SIZE + 1), 431)
bad(S, "a long value", get(b"X: " + b"x" * 3 * MAX_HEADER_SIZE), 431)
bad(S, "a long name", get(b"x" * 3 * MAX_HEADER_SIZE + b": y"), 431)
bad(S, "a value that does not end", hosted(b"X: " + b"x" * MAX_HEADER_SIZE)[:-4], 431)
bad(S, "long blanks", get(b"X: " + b" " * MAX_HEADER_SIZE + b"y"), 431)

# --- RFC 9110, 8.6 and RFC 9112, 6.2: Content-Length ---------------------------------------------

S = "RFC 9110 8.6"
good(S, "a body", length(b"5"))
good(S, "a length of 0", length(b"0", b""))
good(S, "leading zeros", length(b"0005"))
good(S, "blanks around it", length(b" \t5\t "))
good(S, "any case", post(b"cONTENT-lENGTH: 5", body=b"hello"))
good(S, "a body of CR LF", sized(b"\r\n\r\n") + get(), (200, 200))
good(S, "a body of all bytes", sized(bytes(range(256))) + get(), (200, 200))
good(S, "a body that is a request", sized(SMUGGLED) + get(), (200, 200), hidden=True)
good(S, "neither length nor coding", post() + get(), (200, 200))
good(S, "a body in HTTP/1.0",
     b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", after="closed")
for value in (b"", b"+5", b"-5", b"-0", b"+0", b"0x5", b"five", b"5a", b"a5", b"1 0", b"5.0",
              b"5e0",
              b"1_0", b'"5"', b"5;", b"5,", b",5", b"5, 5", b"5,5", b"5, 6", b"5,5,5", b"\xd9\xa5",
              b"5\xa0", b"5\0", b"\v5", b"NaN", b"$5", b"9223372036854775808",
              b"18446744073709551621", b"9" * 100):
    hides(S, f"the length {value!r}", length(value) + SMUGGLED)
hides(S, "a length of 32 bits and five", length(b"4294967301") + SMUGGLED, 413)
bad_after(S, "more than the length tells", length(b"5", b"hello\x01"), 200, 400)
S = "RFC 9112 6.3"
bad(S, "two lengths, the same", post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"))
hides(S, "two lengths, different",
      post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello" + SMUGGLED))
hides(S, "two lengths, the first is 0",
      post(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED))
hides(S, "two lengths, the second is 0",
      post(b"Content-Length: %d" % len(SMUGGLED), b"Content-Length: 0", body=SMUGGLED))
bad(S, "two lengths in different case",
    post(b"Content-Length: 5", b"content-length: 5", body=b"hello"))
S = "RFC 9110 15.5.14"
good(S, "a body as long as allowed", sized(b"x" * MAX_BODY_SIZE))
bad(S, "a length past the limit", length(b"%d" % (MAX_BODY_SIZE + 1), b""), 413)
bad(S, "a length of 63 bits", length(b"9223372036854775807", b""), 413)
bad(S, "a body past the limit", sized(b"x" * (MAX_BODY_SIZE + 1)), 413)
bad(S, "a chunk past the limit", chunks(b"%x\r\n" % (MAX_BODY_SIZE + 1)), 413)
bad(S, "chunks past the limit",
    chunks((b"%x\r\n" % (MAX_BODY_SIZE // 2) + b"x" * (MAX_BODY_SIZE // 2) + CRLF) * 2, b"1\r\nx"),
    413)
good(S, "chunks as long as allowed",
     chunks((b"%x\r\n" % (MAX_BODY_SIZE // 2) + b"x" * (MAX_BODY_SIZE // 2) + CRLF) * 2, LAST))

# --- RFC 9112, 6.1: Transfer-Encoding ------------------------------------------------------------

S = "RFC 9112 6.1"
HIDING = LAST + SMUGGLED
for value in (b"chunked", b"CHUNKED", b"cHuNkEd", b" \tchunked\t "):
    good(S, f"the coding {value!r}",
         post(b"Transfer-Encoding: " + value, body=b"5\r\nhello\r\n" + LAST) + get(), (200, 200))
for value in (b"gzip", b"deflate", b"compress", b"identity", b"xchunked", b"chunkedx", b"chunk",
              b"gzip, chunked", b"identity, chunked", b"gzip,chunked", b"foo;bar=baz", b"'chunked"):
    hides(S, f"the coding {value!r}", post(b"Transfer-Encoding: " + value, body=HIDING), 501)
for value in (b"", b"chunked, gzip", b"chunked, identity", b"chunked, chunked", b"chunked,chunked",
              b", chunked", b"chunked,", b"chunked, ", b",", b"chunked chunked", b"chunked;",
              b"chunked;a=b", b'"chunked"', b": chunked", b"[chunked]", b"\vchunked", b"\fchunked",
              b"chunked\0", b"\0chunked", b"chunked\x7f", b"chunked\xa0", b"chu nked",
              b"chunked\\"):
    hides(S, f"the coding {value!r}", post(b"Transfer-Encoding: " + value, body=HIDING))
hides(S, "two fields, both chunked", post(CHUNKED, CHUNKED, body=HIDING))
hides(S, "two fields, the first gzip",
      post(b"Transfer-Encoding: gzip", CHUNKED, body=HIDING), 501)
hides(S, "two fields, the second identity",
      post(CHUNKED, b"Transfer-Encoding: identity", body=HIDING))
hides(S, "two fields, the second empty",
      post(CHUNKED, b"Transfer-Encoding:", body=HIDING))
hides(S, "two fields in different case",
      post(CHUNKED, b"transfer-ENCODING: x", body=HIDING))
hides(S, "in HTTP/1.0",
      b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + HIDING)
hides(S, "in HTTP/1.0 that is kept alive",
      b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
      + HIDING)
hides(S, "behind a length", post(b"Content-Length: 5", CHUNKED, body=HIDING))
hides(S, "in front of a length", post(CHUNKED, b"Content-Length: 5", body=HIDING))
bad(S, "with a length that is right", post(CHUNKED, b"Content-Length: 5", body=LAST))
hides(S, "with a length of 0", post(b"Content-Length: 0", CHUNKED, body=HIDING))
hides(S, "with a length that covers all",
      post(b"Content-Length: %d" % len(HIDING), CHUNKED, body=HIDING))
hides(S, "on GET with a length",
      get(b"Content-Length: 5", CHUNKED) + HIDING)
hides(S, "an unknown coding with a length",
      post(b"Transfer-Encoding: xchunked", b"Content-Length: 5", body=b"hello" + SMUGGLED), 501)
good(S, "a name that only looks like it",
     post(b"Transfer_Encoding: chunked", b"Content-Length: %d" % len(HIDING), body=HIDING) + get(),
     (200, 200), hidden=True)
good(S, "a value that only looks like it",
     post(b"X: Transfer-Encoding: chunked", b"Content-Length: %d" % len(HIDING),
          body=HIDING) + get(),
     (200, 200), hidden=True)

# --- RFC 9112, 7.1: chunks -----------------------------------------------------------------------

S = "RFC 9112 7.1"
HELLO = b"5\r\nhello\r\n"
good(S, "one chunk", chunks(HELLO, LAST))
good(S, "two chunks", chunks(HELLO, HELLO, LAST))
good(S, "no content", chunks(LAST))
good(S, "capital digits", chunks(b"A\r\n0123456789\r\n", LAST))
good(S, "leading zeros", chunks(b"0000000000000000000005\r\nhello\r\n", b"000\r\n\r\n"))
good(S, "a chunk of CR LF", chunks(b"2\r\n\r\n\r\n", LAST))
good(S, "the next request behind it", chunks(HELLO, LAST) + get(), (200, 200))
good(S, "a chunk that is a request",
     chunks(b"%x\r\n" % len(SMUGGLED) + SMUGGLED + CRLF, LAST) + get(), (200, 200), hidden=True)
good(S, "a thousand small chunks", chunks(b"1\r\nx\r\n" * 1000, LAST))
bad(S, "very many small chunks", chunks(b"1\r\nx\r\n" * (MAX_BODY_SIZE - 1), LAST))
for size in (b"", b"x", b"g", b"+5", b"-5", b"-1", b"0x5", b"0X5", b"\\x5", b" 5", b"\t5", b"5 ",
             b"5\t",
             b"0 5", b"0_5", b"5.0", b"5,5", b"5h", b"5L", b"#5", b"5#", b"%35", b'"5"', b"5\0",
             b"\0005", b"\v5", b"5\v", b"\xd9\xa5", b"5\xa0", b"5e ", b"(5)", b"5 ;a", b"5\t;a"):
    hides(S, f"the size {size!r}", chunks(size + b"\r\nhello\r\n", LAST) + SMUGGLED)
for size in (b"8000000000000000", b"ffffffffffffffff", b"10000000000000005", b"f" * 100,
             b"1" + b"0" * 64 + b"5"):
    hides(S, f"the size {size.decode()}", chunks(size + b"\r\nhello\r\n", LAST) + SMUGGLED)
hides(S, "a size of 32 bits and five", chunks(b"100000005\r\nhello\r\n", LAST) + SMUGGLED, 413)
bad(S, "a size of 63 bits", chunks(b"7fffffffffffffff\r\nhello\r\n", LAST), 413)
bad(S, "LF behind the size", chunks(b"5\nhello\r\n", LAST))
bad(S, "CR behind the size", chunks(b"5\rhello\r\n", LAST))
bad(S, "CR CR LF behind the size", chunks(b"5\r\r\nhello\r\n", LAST))
bad(S, "LF behind the content", chunks(b"5\r\nhello\n", LAST))
bad(S, "CR behind the content", chunks(b"5\r\nhello\r", LAST))
bad(S, "nothing behind the content", chunks(b"5\r\nhello", LAST))
bad(S, "two other bytes behind the content", chunks(b"5\r\nhelloXX", LAST))
bad(S, "more content than the size tells", chunks(b"5\r\nhello!\r\n", LAST))
bad(S, "less content than the size tells", chunks(b"7\r\nhello\r\n", LAST))
bad(S, "an empty line between chunks", chunks(HELLO, CRLF, LAST))
bad(S, "LF in the last chunk", chunks(HELLO, b"0\n\r\n"))
bad(S, "LF behind the last chunk", chunks(HELLO, b"0\r\n\n"))
hides(S, "a request in place of the last chunk", chunks(HELLO, SMUGGLED))
bad(S, "a long size", chunks(b"0" * 300 + b"5\r\nhello\r\n", LAST))
bad_after(S, "a byte behind the last chunk", chunks(HELLO, LAST) + b"\x01", 200, 400)

S = "RFC 9112 7.1.1"
for extension in (b";a", b";a=b", b";abc=def", b";a=b;c;d=e", b';a="b"', b';a="b;c=\\"d\\\\"',
                  b'; a = "" ;b',
                  b";a=\"\xc3\xa9\t\""):
    good(S, f"the extension {extension!r}",
         chunks(b"5" + extension + b"\r\nhello\r\n", b"0" + extension + b"\r\n\r\n") + get(),
         (200, 200))
for extension in (b";", b";;a", b";a;", b";=b", b";a=", b";a=b=c", b";a b", b";a[", b";a ",
                  b";a=b ",
                  b';a="b', b';a="b"c', b';a="b\\', b";a=\0", b';a="\0"', b';a="\x01"', b";\x01",
                  b";\xe9"):
    bad(S, f"the extension {extension!r}", chunks(b"5" + extension + b"\r\nhello\r\n", LAST))
bad(S, "LF in an extension", chunks(b"5;a\nhello\r\n", LAST))
bad(S, "CR in an extension", chunks(b"5;a\rb\r\nhello\r\n", LAST))
hides(S, "LF in an extension hides a request",
      chunks(b"2;\nxx\r\n", b"4c\r\n", LAST) + SMUGGLED)
good(S, "a long extension", chunks(b"5;" + b"a" * 200 + b"\r\nhello\r\n", LAST))
bad(S, "an extension too long", chunks(b"5;" + b"a" * 300 + b"\r\nhello\r\n", LAST))
bad(S, "an extension that does not end", chunks(b"5;" + b"a" * 100000))
bad(S, "very many extensions", chunks((b"1;" + b"a" * 200 + b"\r\nx\r\n") * 1000, LAST))

S = "RFC 9112 7.1.2"
good(S, "a trailer", chunks(HELLO, b"0\r\nX: y\r\n\r\n") + get(), (200, 200))
good(S, "two trailers", chunks(HELLO, b"0\r\nX: y\r\nZ:\r\n\r\n") + get(), (200, 200))
good(S, "a long trailer", chunks(HELLO, b"0\r\nX: " + b"y" * (MAX_TRAILER - 5) + b"\r\n\r\n"))
bad(S, "a trailer too long", chunks(HELLO, b"0\r\nX: " + b"y" * (MAX_TRAILER - 4) + b"\r\n\r\n"))
bad(S, "very many trailers", chunks(HELLO, b"0\r\n", b"X: y\r\n" * 10000, CRLF))
for field in (b"X", b": y", b"X : y", b" X: y", b"\tX: y", b"X[: y", b"(X): y", b"X: y\r\n z",
              b"X: \0",
              b"X: \x01", b"X: y\rz", b"X: y\nZ: z", b"\0", b"X\xe9: y"):
    bad(S, f"the trailer {field!r}", chunks(HELLO, b"0\r\n" + field + b"\r\n\r\n"))
bad(S, "LF ends the trailers", chunks(HELLO, b"0\r\nX: y\r\n\n"))
hides(S, "a request in place of trailers", chunks(HELLO, b"0\r\n", SMUGGLED))
S = "RFC 9110 6.5.1"
for field in (b"Content-Length: 99", b"Transfer-Encoding: gzip", b"Host: a b", b"Connection: close",
              b"Expect: tea", b"Authorization: Basic YTpi"):
    good(S, f"the trailer {field.decode()}", chunks(HELLO, b"0\r\n" + field + b"\r\n\r\n") + get(),
         (200, 200))

# --- RFC 9112, 9 and RFC 9110, 7.6.1 and 10.1.1: connections, Expect -----------------------------

S = "RFC 9112 9.3"
good(S, "HTTP/1.1 with keep-alive", get(b"Connection: keep-alive"))
good(S, "HTTP/1.0 with keep-alive", b"GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
good(S, "HTTP/1.0 with keep-alive, twice",
     b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2, (200, 200))
good(S, "HTTP/1.0 with keep-alive and close",
     b"GET /hello HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", after="closed")
good(S, "HTTP/1.0 with another option",
     b"GET /hello HTTP/1.0\r\nConnection: x\r\n\r\n", after="closed")
S = "RFC 9112 9.6"
for value in (b"close", b"CLOSE", b"Close", b"a, close", b"close,a", b" close ", b",,close",
              b"keep-alive, close"):
    good(S, f"Connection: {value.decode()}", get(b"Connection: " + value), after="closed")
good(S, "close in a second field", get(b"Connection: a", b"Connection: close"), after="closed")
for value in (b"", b"closed", b"xclose", b"clos e", b"a, b", b"close;a"):
    good(S, f"Connection: {value.decode()!r}", get(b"Connection: " + value))
good(S, "nothing runs behind close", get(b"Connection: close") + SMUGGLED, after="closed",
     hidden=True)
good(S, "nothing runs behind close, with a body",
     post(b"Connection: close", b"Content-Length: 5", body=b"hello") + SMUGGLED, after="closed",
     hidden=True)
good(S, "nothing runs behind HTTP/1.0", b"GET /hello HTTP/1.0\r\n\r\n" + SMUGGLED, after="closed",
     hidden=True)
S = "RFC 9110 7.8"
good(S, "an upgrade to h2c",
     get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c",
         b"HTTP2-Settings: AAMAAABkAAQAAP__"))
good(S, "an upgrade to WebSocket", get(b"Connection: Upgrade", b"Upgrade: websocket"))
S = "RFC 9110 10.1.1"
good(S, "100-continue", post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"))
good(S, "100-continue, any case",
     post(b"expect: 100-CONTINUE", b"Content-Length: 5", body=b"hello"))
good(S, "100-continue with chunks", post(b"Expect: 100-continue", CHUNKED, body=HELLO + LAST))
good(S, "100-continue without a body", get(b"Expect: 100-continue"))
good(S, "100-continue in HTTP/1.0",
     b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
     after="closed")
good(S, "100-continue with a body that is a request",
     post(b"Expect: 100-continue", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED) + get(),
     (200, 200), hidden=True)
bad(S, "100-continue past the limit",
    post(b"Expect: 100-continue", b"Content-Length: %d" % (MAX_BODY_SIZE + 1)), 413)
for value in (b"", b"tea", b"100", b"100-continue, tea", b"tea, 100-continue", b"100-continue=1",
              b"100-continue;a", b"200-ok", b"100 continue"):
    bad(S, f"Expect: {value.decode()!r}", post(b"Expect: " + value, b"Content-Length: 5"), 417)
