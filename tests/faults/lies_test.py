"""What others send is not believed: an origin's bytes under a digest's name, a client's number of fields."""
import hashlib
import os

from faults.oracle import KIB, MIB, Report, nothing_at
from support.origin import Answer, made_bytes

FILLS = 250 if os.environ.get("ENTREPOT_LONG") else 10  # of each lie


def wrong_byte(answer, at):
    answer.body = answer.body[:at] + bytes([answer.body[at] ^ 1]) + answer.body[at + 1:]


def short(answer, at):
    answer.body = answer.body[:at]


def long(answer, at):
    answer.body += b"x" * (at + 1)


def another(answer, at):
    answer.body = made_bytes(len(answer.body), seed=at)


def lies(make_edge, origin, fills, **binary):
    """Each is asked for once while the origin lies, then while it has nothing: only what is whole and right may
    come, and nothing may have been stored."""
    report = Report("lying origin")
    edge = make_edge("location /v2/ { repository v2; }",
                     http=f"repository v2 {{ format oci; proxy_pass {origin.url}; }}", **binary).start()
    for number in range(fills):
        for lie in (wrong_byte, short, long, another):
            data = made_bytes((500, 90 * KIB, MIB)[number % 3], seed=f"{lie.__name__}/{number}")
            path = f"/v2/app/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
            thing = origin.add(path, data)
            at = (number * 7919) % len(data)

            def tamper(answer, request, n, lie=lie, at=at):
                if request.method == "GET" and isinstance(answer, Answer):
                    lie(answer, at)
            thing.tamper = tamper
            for version in ("1.1", "2"):
                got = edge.fetch(path, version=version)
                if got.complete and got.status == 200 and got.body != data:
                    report.wrong.append(f"{lie.__name__}: {path}, {len(got.body)} bytes")
            edge.wait_idle()
            with nothing_at(origin):
                if edge.fetch(path).status == 200:
                    report.other.append(f"{lie.__name__}: {path} is stored")
            report.rounds += 1
    edge.stop()
    return report


def test_what_an_origin_sends_under_a_digest_is_that_or_nothing(make_edge, origin):
    lies(make_edge, origin, FILLS).assert_clean()


def test_digests_that_are_not_looked_at_are_found_out(make_edge, origin, seeded):
    assert lies(make_edge, origin, 1, **seeded("digest-unchecked")).wrong


def many_fields(make_edge, origin, **binary):
    """More than 100 fields, crumbs of cookies among them, over HTTP/2."""
    report = Report("header fields")
    thing = origin.add("/thing", size=1000)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}", **binary).start()
    for names in ([f"x-{number}" for number in range(150)], ["cookie"] * 150):
        connection = edge.http2()
        stream = connection.get("/thing", more=[(name, "a") for name in names])
        connection.wait_end(stream)
        if connection.heads.get(stream, (0, {}))[0] == 200:
            report.other.append(f"150 times {names[0]}: served")
        connection.close()
        report.rounds += 1
    assert edge.fetch("/thing").body == thing.data
    edge.stop()
    return report


def test_more_than_a_hundred_header_fields_are_refused(make_edge, origin):
    many_fields(make_edge, origin).assert_clean()


def test_fields_that_are_not_counted_are_found_out(make_edge, origin, seeded):
    assert many_fields(make_edge, origin, **seeded("fields-uncounted")).other
