"""RFC 9111, RFC 5861 and RFC 9213 seen from outside: each row is an origin's answers, requests, and what must be seen.

Freshness is moved by Date, Age and Expires; nobody sleeps. `hit`: the first answer again, the origin saw one request.
`miss`: another answer, asked for without conditions. `validated`: the first answer again, after a 304.
"""
import pytest

from support.caching_rows import Ask, Reply, Row, at, run
from support.edge import Edge
from support.origin import Origin

FRESH = ("Cache-Control", "max-age=3600")
STALE = [("Cache-Control", "max-age=60"), ("Date", at(-100))]
TAG = ("ETag", '"v1"')


def cc(value, *more):
    return [("Cache-Control", value), *more]


def twice(section, what, fields, seen, second=(), first=(), status=200, place="p", then=None):
    """Two requests for one answer, or for that and `then`."""
    replies = [Reply(list(fields), status)] + ([then] if then else [])
    row = Row(section, what, replies, [list(first), list(second)], place)
    row.expected, row.status = seen, status
    return row


HIT, MISS, VALIDATED, STALE_HIT = "hit", "miss", "validated", "stale"

ROWS = [
    # 3: what may be stored
    twice("3", "explicit freshness", [FRESH], HIT),
    twice("3", "nothing that could ever be used", [], MISS),
    twice("3", "no-store", cc("no-store, max-age=3600"), MISS),
    twice("3", "no-store after freshness", cc("max-age=3600, no-store"), MISS),
    twice("3", "no-store in a second field", [FRESH, ("Cache-Control", "no-store")], MISS),
    twice("3", "no-store in capitals", cc("max-age=3600, NO-STORE"), MISS),
    twice("3", "no-store beside what is unknown", cc("foo, no-store=bar, max-age=3600"), MISS),
    twice("3", "private", cc("private, max-age=3600"), MISS),
    twice("3", "private of field names", cc('private="x-foo", max-age=3600'), MISS),
    twice("3", "private in capitals", cc("Private, max-age=3600"), MISS),
    twice("3", "unknown directives", cc("max-age=3600, foo=bar, x"), HIT),
    twice("3", "a directive that only ends like no-store", cc("max-age=3600, x-no-store"), HIT),
    twice("3", "no-store inside a quoted string", cc('max-age=3600, x="a, no-store"'), HIT),
    twice("3", "must-understand takes no-store back", cc("must-understand, no-store, max-age=3600"), HIT),
    twice("3", "a cookie is one client's", [FRESH, ("Set-Cookie", "a=b")], MISS),
    twice("3", "a cookie where the conf ignores it", [FRESH, ("Set-Cookie", "a=b")], HIT, place="i"),
    twice("3", "a validator without freshness", [TAG], VALIDATED),
    twice("3", "Last-Modified without freshness", [("Last-Modified", at(-9999))], VALIDATED),
    *[twice("3", f"status {status} with freshness", [FRESH], HIT, status=status)
      for status in (203, 300, 301, 302, 303, 307, 308, 403, 404, 410, 414, 451, 500, 502, 503, 504)],
    *[twice("3", f"status {status}, which another request may not share", [FRESH], MISS, status=status)
      for status in (400, 401, 405, 407, 413, 421, 429, 431, 299, 499, 599)],
    twice("3", "status 302 without freshness", [TAG], MISS, status=302),
    twice("3", "status 503 by the conf", [], HIT, status=503, place="v"),
    twice("3", "status 404 without freshness", [], MISS, status=404),
    # 3.1: fields
    twice("3.1", "what Connection lists is neither stored nor sent", [FRESH, ("Connection", "X-Hop"), ("X-Hop", "1")], HIT),
    twice("3.1", "unknown fields are stored", [FRESH, ("X-Foo", "bar")], HIT),
    # 3.5: Authorization
    twice("3.5", "credentials brought it", [FRESH], MISS, first=[("Authorization", "Basic a")]),
    *[twice("3.5", f"credentials brought it, and it says {directive}", cc(f"{directive}, max-age=3600"), HIT,
            first=[("Authorization", "Basic a")]) for directive in ("public", "s-maxage=3600", "must-revalidate")],
    twice("3.5", "credentials brought it for others' credentials", cc("public, max-age=3600"), HIT,
          first=[("Authorization", "Basic a")], second=[("Authorization", "Basic b")]),
    twice("3.5", "credentials twice", [FRESH], MISS, first=[("Authorization", "Basic a")],
          second=[("Authorization", "Basic a")]),
    twice("3.5", "credentials ask for what everybody's is not said to be", [FRESH], MISS,
          second=[("Authorization", "Basic a")]),
    twice("3.5", "credentials ask for what is public", cc("public, max-age=3600"), HIT,
          second=[("Authorization", "Basic a")]),
    twice("3.5", "credentials ask for what has s-maxage", cc("s-maxage=3600"), HIT,
          second=[("Authorization", "Basic a")]),
    twice("3.5", "credentials ask for what is must-revalidate", cc("max-age=3600, must-revalidate"), HIT,
          second=[("Authorization", "Basic a")]),
    # 4.2.1: the freshness lifetime
    twice("4.2.1", "s-maxage before max-age", cc("max-age=0, s-maxage=3600"), HIT),
    twice("4.2.1", "s-maxage=0 before max-age", cc("max-age=3600, s-maxage=0", TAG), VALIDATED),
    twice("4.2.1", "s-maxage before Expires", cc("s-maxage=3600", ("Expires", at(-100))), HIT),
    twice("4.2.1", "max-age before Expires", cc("max-age=3600", ("Expires", at(-100))), HIT),
    twice("4.2.1", "max-age=0 before Expires", cc("max-age=0", ("Expires", at(3600)), TAG), VALIDATED),
    twice("4.2.1", "Expires", [("Expires", at(3600)), ("Date", at(0))], HIT),
    twice("4.2.1", "Expires without Date", [("Expires", at(3600))], HIT),
    twice("4.2.1", "Expires in the past", [("Expires", at(-10)), ("Date", at(0)), TAG], VALIDATED),
    twice("4.2.1", "Expires now", [("Expires", at(0)), ("Date", at(0)), TAG], VALIDATED),
    *[twice("5.3", f"Expires {text!r} is the past", [("Expires", text), TAG], VALIDATED)
      for text in ("0", "-1", "", "never", "Thu, 18 Aug 2050 02:01:18", "2050-08-18T02:01:18Z",
                   "Thu, 32 Aug 2050 02:01:18 GMT", "Thu, 18 Aug 2050 25:01:18 GMT")],
    twice("5.3", "Expires in the form of RFC 850", [("Expires", "Wednesday, 18-Aug-50 02:01:18 GMT")], HIT),
    twice("5.3", "Expires in the form of asctime", [("Expires", "Thu Aug 18 02:01:18 2050")], HIT),
    twice("5.3", "the first of two Expires", [("Expires", "0"), ("Expires", at(3600)), TAG], VALIDATED),
    twice("4.2.1", "the first of two max-age", cc("max-age=0, max-age=3600", TAG), VALIDATED),
    twice("4.2.1", "the first of two max-age, the other way", cc("max-age=3600, max-age=0", TAG), HIT),
    twice("4.2.1", "in two fields", [("Cache-Control", "max-age=0"), FRESH, TAG], VALIDATED),
    *[twice("5.2.2.1", f"{text!r} is stale", cc(text, TAG), VALIDATED)
      for text in ("max-age", "max-age=", "max-age=-1", "max-age=3600.5", "max-age=abc", "max-age=3600s",
                   "max-age=+3600", "max-age='3600'", "max-age =3600", "max-age= 3600", "max-age=0x10",
                   'max-age="3600', "max-age=3600;x")],
    *[twice("5.2.2.1", f"{text!r} is fresh", cc(text), HIT)
      for text in ("max-age=3600", "MAX-AGE=3600", 'max-age="3600"', "max-age=0003600", "max-age=2147483648",
                   "max-age=99999999999999999999", ",max-age=3600", "  max-age=3600  ", "x,,\tmax-age=3600")],
    # 4.2.2: heuristics
    twice("4.2.2", "a share of the time since Last-Modified", [("Last-Modified", at(-1000000))], HIT, place="h"),
    twice("4.2.2", "not beside Expires", [("Last-Modified", at(-1000000)), ("Expires", "0")], VALIDATED, place="h"),
    twice("4.2.2", "not without Last-Modified", [TAG], VALIDATED, place="h"),
    twice("4.2.2", "not for any status", [("Last-Modified", at(-1000000))], MISS, status=302, place="h"),
    twice("4.2.2", "for a status that may", [("Last-Modified", at(-1000000))], HIT, status=301, place="h"),
    # 4.2.3, 5.1: age
    twice("4.2.3", "an older Date", STALE + [TAG], VALIDATED),
    twice("4.2.3", "a Date within its lifetime", cc("max-age=9000", ("Date", at(-1000))), HIT),
    twice("4.2.3", "a Date in the future", [FRESH, ("Date", at(1000))], HIT),
    twice("4.2.3", "a Date that is none", [FRESH, ("Date", "yesterday")], HIT),
    twice("5.1", "Age beyond the lifetime", [FRESH, ("Age", "7200"), TAG], VALIDATED),
    twice("5.1", "Age of just the lifetime", [FRESH, ("Age", "3600"), TAG], VALIDATED),
    twice("5.1", "Age within the lifetime", [FRESH, ("Age", "1000")], HIT),
    twice("5.1", "the first of two Age", [FRESH, ("Age", "7200"), ("Age", "0"), TAG], VALIDATED),
    twice("5.1", "the first of a list of Age", [FRESH, ("Age", "7200, 0"), TAG], VALIDATED),
    twice("5.1", "Age is huge", [FRESH, ("Age", "99999999999999999999"), TAG], VALIDATED),
    *[twice("5.1", f"Age {text!r} is not looked at", [FRESH, ("Age", text)], HIT)
      for text in ("-7200", "abc", "7200.0", "7200s", "")],
    # 4.2.4, 5.2.2: what is stale
    twice("4.2.4", "stale is validated", STALE + [TAG], VALIDATED),
    twice("4.2.4", "stale without a validator is asked for anew", STALE, MISS),
    twice("4.2.4", "a 503 of the origin is the answer", STALE + [TAG], 503, then=Reply(status=503)),
    twice("4.2.4", "nobody answers", STALE + [TAG], 502, then=Reply(drops=True)),
    twice("4.2.4", "nobody answers, and the conf allows it", STALE + [TAG], STALE_HIT, then=Reply(drops=True), place="s"),
    twice("4.2.4", "a 503, and the conf allows it", STALE + [TAG], STALE_HIT, then=Reply(status=503), place="s"),
    twice("4.2.4", "a 404, and the conf allows it", STALE + [TAG], STALE_HIT, then=Reply(status=404), place="s"),
    twice("4.2.4", "a 502, which the conf does not name", STALE + [TAG], 502, then=Reply(status=502), place="s"),
    *[twice("4.2.4", f"nobody answers, and {directive} forbids it", cc(f"max-age=60, {directive}", ("Date", at(-100)), TAG),
            504, then=Reply(drops=True), place="s") for directive in ("must-revalidate", "proxy-revalidate")],
    twice("4.2.4", "nobody answers, and s-maxage forbids it", cc("s-maxage=60", ("Date", at(-100)), TAG), 504,
          then=Reply(drops=True), place="s"),
    twice("4.2.4", "nobody answers, and no-cache forbids it", cc("no-cache", TAG), 504, then=Reply(drops=True), place="s"),
    twice("5.2.2.2", "must-revalidate and a 503", cc("max-age=60, must-revalidate", ("Date", at(-100)), TAG), 503,
          then=Reply(status=503), place="s"),
    twice("5.2.2.4", "no-cache is validated each time", cc("no-cache, max-age=3600", TAG), VALIDATED),
    twice("5.2.2.4", "no-cache of field names, too", cc('no-cache="x", max-age=3600', TAG), VALIDATED),
    twice("5.2.2.4", "no-cache in capitals", cc("max-age=3600, No-Cache", TAG), VALIDATED),
    # RFC 5861
    twice("5861.4", "stale-if-error and nobody answers", cc("max-age=60, stale-if-error=600", ("Date", at(-100)), TAG),
          STALE_HIT, then=Reply(drops=True)),
    *[twice("5861.4", f"stale-if-error and {status}", cc("max-age=60, stale-if-error=600", ("Date", at(-100)), TAG),
            STALE_HIT, then=Reply(status=status)) for status in (500, 502, 503, 504)],
    twice("5861.4", "stale-if-error and 404", cc("max-age=60, stale-if-error=600", ("Date", at(-100)), TAG), 404,
          then=Reply(status=404)),
    twice("5861.4", "stale-if-error that is over", cc("max-age=60, stale-if-error=10", ("Date", at(-100)), TAG), 503,
          then=Reply(status=503)),
    twice("5861.4", "stale-if-error against must-revalidate",
          cc("max-age=60, stale-if-error=600, must-revalidate", ("Date", at(-100)), TAG), 503, then=Reply(status=503)),
    twice("5861.4", "stale-if-error of the client", STALE + [TAG], STALE_HIT, then=Reply(status=503),
          second=cc("stale-if-error=600")),
    twice("5861.3", "stale-while-revalidate", cc("max-age=60, stale-while-revalidate=600", ("Date", at(-100)), TAG), STALE_HIT),
    twice("5861.3", "stale-while-revalidate that is over",
          cc("max-age=60, stale-while-revalidate=10", ("Date", at(-100)), TAG), VALIDATED),
    twice("5861.3", "stale-while-revalidate against must-revalidate",
          cc("max-age=60, stale-while-revalidate=600, must-revalidate", ("Date", at(-100)), TAG), VALIDATED),
    twice("5861.3", "stale-while-revalidate against the client's no-cache",
          cc("max-age=60, stale-while-revalidate=600", ("Date", at(-100)), TAG), VALIDATED, second=cc("no-cache")),
    twice("5861.3", "updated behind by the conf", STALE + [TAG], STALE_HIT, place="u"),
    twice("5861.3", "updated behind by the conf, against must-revalidate",
          cc("max-age=60, must-revalidate", ("Date", at(-100)), TAG), VALIDATED, place="u"),
    # 5.2.1: directives of requests
    twice("5.2.1.4", "no-cache", [FRESH, TAG], VALIDATED, second=cc("no-cache")),
    twice("5.2.1.4", "no-cache in capitals, beside others", [FRESH, TAG], VALIDATED, second=cc("foo, NO-CACHE")),
    twice("5.2.1.4", "no-cache in a second field", [FRESH, TAG], VALIDATED, second=cc("foo") + cc("no-cache")),
    twice("5.2.1.4", "no-cache without a validator", [FRESH], MISS, second=cc("no-cache")),
    twice("5.4", "Pragma: no-cache", [FRESH, TAG], VALIDATED, second=[("Pragma", "no-cache")]),
    twice("5.4", "Pragma beside Cache-Control", [FRESH, TAG], HIT, second=[("Pragma", "no-cache"), ("Cache-Control", "x")]),
    twice("5.4", "Pragma of a response says nothing", [FRESH, ("Pragma", "no-cache")], HIT),
    twice("5.2.1.1", "max-age that it is older than", [FRESH, ("Age", "100"), TAG], VALIDATED, second=cc("max-age=50")),
    twice("5.2.1.1", "max-age that it is younger than", [FRESH, ("Age", "100")], HIT, second=cc("max-age=200")),
    twice("5.2.1.1", "max-age does not make stale fresh", STALE + [TAG], VALIDATED, second=cc("max-age=3600")),
    twice("5.2.1.3", "min-fresh that it does not have", cc("max-age=100", TAG), VALIDATED, second=cc("min-fresh=1000")),
    twice("5.2.1.3", "min-fresh that it has", [FRESH], HIT, second=cc("min-fresh=1000")),
    twice("5.2.1.2", "max-stale", STALE + [TAG], STALE_HIT, second=cc("max-stale=1000")),
    twice("5.2.1.2", "max-stale without a value", STALE + [TAG], STALE_HIT, second=cc("max-stale")),
    twice("5.2.1.2", "max-stale that is too little", STALE + [TAG], VALIDATED, second=cc("max-stale=5")),
    twice("5.2.1.2", "max-stale against must-revalidate", cc("max-age=60, must-revalidate", ("Date", at(-100)), TAG),
          VALIDATED, second=cc("max-stale")),
    twice("5.2.1.5", "no-store keeps nothing", [FRESH], MISS, first=cc("no-store")),
    twice("5.2.1.5", "no-store may have what is stored", [FRESH], HIT, second=cc("no-store")),
    twice("5.2.1.7", "only-if-cached of what is stored", [FRESH], HIT, second=cc("only-if-cached")),
    twice("5.2.1.7", "only-if-cached of what is stale", STALE + [TAG], 504, second=cc("only-if-cached")),
    # 4.1: Vary
    twice("4.1", "Vary: *", [FRESH, ("Vary", "*")], MISS),
    twice("4.1", "a star in a list", [FRESH, ("Vary", "Accept, *")], MISS),
    twice("4.1", "a star in a second field", [FRESH, ("Vary", "Accept"), ("Vary", "*")], MISS),
    twice("4.1", "the same value", [FRESH, ("Vary", "X-Foo")], HIT, first=[("X-Foo", "1")], second=[("X-Foo", "1")]),
    twice("4.1", "another value", [FRESH, ("Vary", "X-Foo")], MISS, first=[("X-Foo", "1")], second=[("X-Foo", "2")]),
    twice("4.1", "no value at first", [FRESH, ("Vary", "X-Foo")], MISS, second=[("X-Foo", "2")]),
    twice("4.1", "no value then", [FRESH, ("Vary", "X-Foo")], MISS, first=[("X-Foo", "1")]),
    twice("4.1", "no value twice", [FRESH, ("Vary", "X-Foo")], HIT),
    twice("4.1", "names have no case", [FRESH, ("Vary", "x-FOO")], HIT, first=[("X-Foo", "1")], second=[("x-foo", "1")]),
    twice("4.1", "values have", [FRESH, ("Vary", "X-Foo")], MISS, first=[("X-Foo", "a")], second=[("X-Foo", "A")]),
    twice("4.1", "one of two", [FRESH, ("Vary", "X-Foo, X-Bar")], MISS, first=[("X-Foo", "1"), ("X-Bar", "1")],
          second=[("X-Foo", "1"), ("X-Bar", "2")]),
    twice("4.1", "both of two, the other way round", [FRESH, ("Vary", "X-Foo"), ("Vary", "X-Bar")], HIT,
          first=[("X-Foo", "1"), ("X-Bar", "2")], second=[("X-Bar", "2"), ("X-Foo", "1")]),
    twice("4.1", "a list in one field or in two", [FRESH, ("Vary", "X-Foo")], HIT, first=[("X-Foo", "1, 2")],
          second=[("X-Foo", "1"), ("X-Foo", "2")]),
    twice("4.1", "spaces in a list", [FRESH, ("Vary", "Accept-Language")], HIT, first=[("Accept-Language", "en, de")],
          second=[("Accept-Language", "EN,de")]),
    twice("4.1", "other fields say nothing", [FRESH, ("Vary", "X-Foo")], HIT, first=[("X-Bar", "1")], second=[("X-Bar", "2")]),
    twice("4.1", "an empty Vary", [FRESH, ("Vary", "")], HIT, first=[("X-Foo", "1")], second=[("X-Foo", "2")]),
    twice("4.1", "Accept-Encoding is always identity upstream", [FRESH, ("Vary", "Accept-Encoding")], HIT,
          first=[("Accept-Encoding", "gzip")], second=[("Accept-Encoding", "br")]),
    twice("4.1", "Origin", [FRESH, ("Vary", "Origin")], MISS, first=[("Origin", "https://a")], second=[("Origin", "https://b")]),
    twice("4.1", "Cookie", [FRESH, ("Vary", "Cookie")], MISS, first=[("Cookie", "a=1")], second=[("Cookie", "a=2")]),
    twice("4.1", "a star where the conf ignores Vary", [FRESH, ("Vary", "*")], HIT, place="i"),
    # RFC 9213
    twice("9213.2", "before Cache-Control", [("CDN-Cache-Control", "max-age=3600"), ("Cache-Control", "no-store")], HIT),
    twice("9213.2", "against freshness", [("CDN-Cache-Control", "no-store"), FRESH], MISS),
    twice("9213.2", "malformed", [("CDN-Cache-Control", "max-age=3600,"), ("Cache-Control", "no-store")], MISS),
    twice("9213.2", "empty", [("CDN-Cache-Control", ""), FRESH], HIT),
    twice("9213.2", "the list's first", [("CDN-Cache-Control", "no-store"), ("Edge-Cache-Control", "max-age=3600")], HIT,
          place="t"),
    twice("9213.2", "surrogate-control by option", [("Surrogate-Control", "max-age=3600"), ("Cache-Control", "no-store")], HIT,
          place="sc"),
    twice("nginx", "X-Accel-Expires", [("X-Accel-Expires", "3600"), ("Cache-Control", "no-store")], HIT),
    twice("nginx", "ignored Cache-Control", cc("no-store"), HIT, place="i"),
    twice("nginx", "proxy_cache_bypass", [FRESH, TAG], VALIDATED, second=[("X-Bypass", "1")], place="b"),
    twice("nginx", "proxy_cache_bypass of 0", [FRESH, TAG], HIT, second=[("X-Bypass", "0")], place="b"),
    twice("nginx", "proxy_no_cache", [FRESH], MISS, first=[("X-No-Cache", "1")], place="b"),
    twice("nginx", "proxy_cache_min_uses", [FRESH], MISS, place="m"),
    twice("nginx", "proxy_cache_revalidate off", STALE + [TAG], MISS, place="r"),
    twice("nginx", "proxy_cache_revalidate off, and a 503 that the conf allows", STALE + [TAG], STALE_HIT, place="r",
          then=Reply(status=503)),
    # RFC 8246: immutable
    twice("8246.2", "fresh and immutable", cc("max-age=3600, immutable", TAG), HIT),
    twice("8246.2", "an argument means nothing", cc("max-age=3600, immutable=no", TAG), HIT),
    twice("8246.2", "twice is once", cc("immutable, max-age=3600, immutable", TAG), HIT),
    twice("8246.2", "immutable is no lifetime", cc("immutable", TAG), VALIDATED),
    twice("8246.2", "immutable and stale", [("Cache-Control", "max-age=60, immutable"), ("Date", at(-100)), TAG], VALIDATED),
    twice("8246.2", "no-cache of the client against it", cc("max-age=3600, immutable", TAG), VALIDATED,
          second=cc("no-cache")),
    twice("8246.2", "max-age=0 of the client against it", cc("max-age=3600, immutable", TAG, ("Date", at(-10))), VALIDATED,
          second=cc("max-age=0")),
    twice("8246.2", "in a request", STALE + [TAG], VALIDATED, second=cc("immutable")),
    # 4.3: validation
    twice("4.3.1", "by Last-Modified", STALE + [("Last-Modified", at(-5000))], VALIDATED),
    twice("4.3.1", "by a weak entity tag", STALE + [("ETag", 'W/"w"')], VALIDATED),
    twice("4.3.1", "another representation", STALE + [TAG], MISS, then=Reply([("ETag", '"v2"')])),
    twice("4.3.2", "the client's own condition is not the origin's", [FRESH, TAG], 304, second=[("If-None-Match", '"v1"')]),
    twice("4.3.2", "a client's If-Modified-Since", [FRESH, ("Last-Modified", at(-5000))], 304,
          second=[("If-Modified-Since", at(-5000))]),
]

PLACES = {
    "p": "", "v": "proxy_cache_valid 503 1h;", "h": "heuristic_freshness 10%;",
    "i": "proxy_ignore_headers Cache-Control Expires Set-Cookie Vary; proxy_cache_valid 200 1h;",
    "s": "proxy_cache_use_stale error timeout http_503 http_404;",
    "u": "proxy_cache_use_stale updating; proxy_cache_background_update on;",
    "t": "cache_control_targets Edge-Cache-Control CDN-Cache-Control;", "sc": "surrogate_control on;",
    "b": "proxy_cache_bypass $http_x_bypass; proxy_no_cache $http_x_no_cache;",
    "m": "proxy_cache_min_uses 2;", "r": "proxy_cache_revalidate off; proxy_cache_use_stale http_503;",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory, certificate):
    origin = Origin()
    locations = "\n".join(f"location /{place}/ {{ proxy_pass {origin.url}; {text} }}" for place, text in PLACES.items())
    edge = Edge(tmp_path_factory.mktemp("rfc9111"), certificate, locations).start()
    run(ROWS, origin, edge)
    yield origin, edge
    edge.stop()
    origin.close()


def name_of(row):
    return f"{row.section} {row.what}"


def test_each_row_has_a_name_of_its_own():
    assert len({name_of(row) for row in ROWS}) == len(ROWS) > 150


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_row(world, row):
    first, second = row.seen
    questions = row.script.requests
    assert first.status == row.status
    if isinstance(row.expected, int):
        assert second.status == row.expected
        return
    conditions = [name for name in questions[-1].fields if name.startswith("if-")]
    if row.expected == HIT:
        assert (second.status, second.body, second.asked) == (row.status, first.body, first.asked)
        assert second.fields["cache-status"].startswith("entrepot; hit")
        assert 0 <= int(second.fields["age"]) and "date" in second.fields
    elif row.expected == MISS:
        assert (second.asked, second.status) == (first.asked + 1, row.status)
        assert row.replies[0].status == 204 or second.body != first.body
    elif row.expected == VALIDATED:
        assert (second.status, second.body, second.asked) == (200, first.body, first.asked + 1)
        assert conditions and questions[-1].status == 304
    else:
        assert (second.status, second.body) == (200, first.body)
        assert int(second.fields["age"]) >= 100


def rows_of(section, what):
    return next(row for row in ROWS if (row.section, row.what) == (section, what))


def test_what_connection_lists_reaches_nobody(world):
    row = rows_of("3.1", "what Connection lists is neither stored nor sent")
    for seen in row.seen:
        assert "x-hop" not in seen.fields and seen.fields.get("connection", "") != "X-Hop"


def test_other_fields_are_stored_with_their_values(world):
    row = rows_of("3.1", "unknown fields are stored")
    assert row.seen[1].fields["x-foo"] == "bar"


def test_age_tells_what_came_with_it_and_what_passed_since(world):
    row = rows_of("5.1", "Age within the lifetime")
    assert 1000 <= int(row.seen[1].fields["age"]) < 1300


def test_a_fill_carries_nothing_of_the_clients_conditions(world):
    for what in ("the client's own condition is not the origin's", "a client's If-Modified-Since"):
        row = rows_of("4.3.2", what)
        assert len(row.script.requests) == 1


def test_what_came_without_a_date_has_that_of_its_arrival(world):
    dates = {seen.fields["date"] for seen in rows_of("3", "explicit freshness").seen}
    assert len(dates) == 1
    assert rows_of("4.2.3", "a Date that is none").seen[1].fields["date"] != "yesterday"


def test_surrogate_control_ends_here(world):
    assert "surrogate-control" not in rows_of("9213.2", "surrogate-control by option").seen[1].fields


def test_what_was_updated_behind_is_fresh_for_the_next(world):
    row = rows_of("5861.3", "stale-while-revalidate")
    assert [request.status for request in row.script.requests] == [200, 304]
