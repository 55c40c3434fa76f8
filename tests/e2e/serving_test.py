"""What one client sees: hits and misses over every protocol, conditions, ranges, fields, logs, metrics."""
import email.utils
import time

import pytest

from support.edge import Edge
from support.origin import Origin

MIB = 1 << 20
PROTOCOLS = [("2", True), ("1.1", True), ("1.0", True), ("2c", False), ("1.1", False)]


def is_hit(response):
    return "hit" in response.cache_status.split("; ")


@pytest.mark.parametrize("version,tls", PROTOCOLS)
@pytest.mark.parametrize("size", [0, 1, 1024, 3 * MIB + 17])
def test_a_miss_then_a_hit_cost_the_origin_one_request(edge, origin, version, tls, size):
    thing = origin.add("/thing.bin", size=size)
    miss = edge.fetch("/thing.bin", version=version, tls=tls)
    edge.wait_idle()
    hit = edge.fetch("/thing.bin", version=version, tls=tls)
    assert [miss.status, hit.status] == [200, 200]
    assert miss.body == thing.data and hit.body == thing.data
    assert [is_hit(miss), is_hit(hit)] == [False, True]
    assert len(origin.requests) == 1
    assert miss.version == hit.version == {"2": "2", "2c": "2"}.get(version, "1.1")
    assert edge.metrics()["cache_hits_total"] == 1 and edge.metrics()["cache_misses_total"] == 1


def test_a_response_without_length_is_stored_all_the_same(edge, origin):
    thing = origin.add("/chunked.bin", size=2 * MIB + 3)
    thing.tamper = lambda answer, request, n: setattr(answer, "framing", "chunked")
    first = edge.fetch("/chunked.bin")
    edge.wait_idle()
    again = edge.fetch("/chunked.bin", version="1.1")
    assert first.body == again.body == thing.data
    assert is_hit(again) and len(origin.requests) == 1
    assert again.fields["content-length"] == str(len(thing.data))


def test_head_of_a_stored_blob_tells_its_length_without_the_origin(edge, origin):
    origin.add("/thing.bin", size=100_000)
    edge.fetch("/thing.bin")
    edge.wait_idle()
    for version in ("2", "1.1"):
        head = edge.fetch("/thing.bin", method="HEAD", version=version)
        assert (head.status, head.body, head.fields["content-length"]) == (200, b"", "100000")
    assert len(origin.requests) == 1


def test_head_of_a_cold_blob_never_costs_its_body(edge, origin):
    origin.add("/thing.bin", size=100_000)
    head = edge.fetch("/thing.bin", method="HEAD")
    assert (head.status, head.fields["content-length"]) == (200, "100000")
    assert [r.method for r in origin.requests] == ["HEAD"]


@pytest.fixture(scope="module")
def stored_once(certificate, tmp_path_factory):
    """An edge that holds /thing.bin of an origin."""
    origin = Origin()
    modified = email.utils.formatdate(time.time() - 86400, usegmt=True)
    thing = origin.add("/thing.bin", size=300_000, fields={"Last-Modified": modified})
    thing.modified = modified
    edge = Edge(tmp_path_factory.mktemp("edge"), certificate,
                f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()
    edge.fetch("/thing.bin")
    edge.wait_idle()
    origin.forget()
    yield edge, thing, origin
    edge.stop()
    origin.close()


@pytest.fixture
def stored(stored_once):
    """(edge, resource): no request about it may reach the origin."""
    edge, thing, origin = stored_once
    yield edge, thing
    assert origin.requests == []


CONDITIONS = [
    ({"If-None-Match": '"v1"'}, 304),
    ({"If-None-Match": 'W/"v1"'}, 304),
    ({"If-None-Match": '"v0", "v1"'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"v2"'}, 200),
    ({"If-Modified-Since": "modified"}, 304),
    ({"If-Modified-Since": "Mon, 01 Jan 1990 00:00:00 GMT"}, 200),
    ({"If-None-Match": '"v2"', "If-Modified-Since": "modified"}, 200),
    ({"If-Match": '"v1"'}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": '"v2"'}, 412),
    ({"If-Match": 'W/"v1"'}, 412),
    ({"If-Unmodified-Since": "modified"}, 200),
    ({"If-Unmodified-Since": "Mon, 01 Jan 1990 00:00:00 GMT"}, 412),
]


@pytest.mark.parametrize("fields,status", CONDITIONS)
def test_conditions_are_answered_from_the_cache(stored, fields, status):
    edge, thing = stored
    fields = {name: thing.modified if value == "modified" else value for name, value in fields.items()}
    response = edge.fetch("/thing.bin", fields=fields)
    assert response.status == status
    if status == 412:
        assert response.fields["content-type"] == "application/problem+json"
    else:
        assert response.body == (thing.data if status == 200 else b"")
    if status == 304:
        assert response.fields["etag"] == '"v1"'


RANGES = [
    ("bytes=0-0", 206, 0, 1),
    ("bytes=0-99", 206, 0, 100),
    ("bytes=131072-131072", 206, 131072, 131073),
    ("bytes=100000-", 206, 100_000, 300_000),
    ("bytes=299999-", 206, 299_999, 300_000),
    ("bytes=-1", 206, 299_999, 300_000),
    ("bytes=-500000", 206, 0, 300_000),
    ("bytes=0-999999999", 206, 0, 300_000),
    ("bytes=300000-", 416, 0, 0),
    ("bytes=-0", 416, 0, 0),
    ("bytes=5-2", 200, 0, 300_000),
    ("lines=1-2", 200, 0, 300_000),
]


@pytest.mark.parametrize("version", ["2", "1.1"])
@pytest.mark.parametrize("range_,status,begin,end", RANGES)
def test_ranges_of_a_stored_blob(stored, version, range_, status, begin, end):
    edge, thing = stored
    response = edge.fetch("/thing.bin", version=version, fields={"Range": range_})
    assert response.status == status
    if status == 416:
        assert response.fields["content-range"] == "bytes */300000"
        assert response.fields["content-type"] == "application/problem+json"
        return
    assert response.body == thing.data[begin:end]
    if status == 206:
        assert response.fields["content-range"] == f"bytes {begin}-{end - 1}/300000"


@pytest.mark.parametrize("validator,status", [('"v1"', 206), ('"v2"', 200), ('W/"v1"', 200)])
def test_if_range_gives_the_part_only_of_the_same_representation(stored, validator, status):
    edge, thing = stored
    response = edge.fetch("/thing.bin", fields={"Range": "bytes=5-9", "If-Range": validator})
    assert response.status == status
    assert response.body == (thing.data[5:10] if status == 206 else thing.data)


def test_several_ranges_never_give_more_than_the_object(stored):
    edge, thing = stored
    response = edge.fetch("/thing.bin", fields={"Range": "bytes=" + ",".join(["0-299999"] * 50)})
    assert response.status in (200, 206, 416)
    assert len(response.body) <= len(thing.data) + 4096


def test_answers_say_where_they_came_from_and_how_old_they_are(edge, origin):
    origin.add("/thing.bin", size=1000, fields={"Age": "100"})
    miss = edge.fetch("/thing.bin")
    edge.wait_idle()
    hit = edge.fetch("/thing.bin")
    assert miss.cache_status == "entrepot; fwd=uri-miss"
    assert hit.cache_status.startswith("entrepot; hit")
    assert "entrepot" in hit.fields["via"] and "entrepot" in miss.fields["via"]
    assert 100 <= int(hit.fields["age"]) <= 160
    assert hit.fields["accept-ranges"] == "bytes"
    assert "via" in origin.requests[0].fields


def test_hop_by_hop_fields_end_at_the_edge(edge, origin):
    origin.add("/thing.bin", size=10, fields={"Connection": "keep-alive, X-Private", "X-Private": "1",
                                              "Keep-Alive": "timeout=5", "X-Public": "2"})
    for version in ("1.1", "2"):
        response = edge.fetch("/thing.bin", version=version)
        assert response.fields["x-public"] == "2"
        assert "x-private" not in response.fields and "keep-alive" not in response.fields


def test_a_query_string_is_part_of_the_key(edge, origin):
    one, two = origin.add("/thing?a=1", data=b"one"), origin.add("/thing?a=2", data=b"two")
    for _ in range(2):
        assert edge.fetch("/thing?a=1").body == one.data
        assert edge.fetch("/thing?a=2").body == two.data
        edge.wait_idle()
    assert len(origin.requests) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_repository_is_only_read(edge_of, origin, method, version):
    response = edge_of("generic").fetch("/thing", method=method, version=version)
    assert response.status == (200 if method == "OPTIONS" else 405)
    assert response.fields["allow"] == "GET, HEAD, OPTIONS"
    assert method == "OPTIONS" or response.fields["content-type"] == "application/problem+json"
    assert origin.requests == []


@pytest.mark.parametrize("fields", [{"Cache-Control": "no-store"}, {"Cache-Control": "private"},
                                    {"Set-Cookie": "a=b"}])
def test_what_must_not_be_stored_is_asked_for_each_time(edge, origin, fields):
    thing = origin.add("/private", size=5000, fields=fields)
    for _ in range(2):
        response = edge.fetch("/private")
        assert response.body == thing.data and not is_hit(response)
    assert len(origin.gets("/private")) == 2
    assert edge.metrics()["cache_blobs"] == 0


def test_a_request_with_credentials_is_neither_stored_nor_answered_from_the_store(edge, origin):
    thing = origin.add("/thing", size=5000)
    secret = origin.add("/secret", size=5000)
    edge.fetch("/thing")
    edge.wait_idle()
    credentials = {"Authorization": "Bearer abc"}
    assert edge.fetch("/secret", fields=credentials).body == secret.data
    assert origin.gets("/secret")[0].fields["authorization"] == "Bearer abc"
    assert edge.fetch("/secret").body == secret.data
    assert len(origin.gets("/secret")) == 2
    assert edge.fetch("/thing").body == thing.data and len(origin.gets("/thing")) == 1
    assert edge.fetch("/thing", fields=credentials).body == thing.data and len(origin.gets("/thing")) == 2


def test_the_access_log_tells_each_request(edge, origin):
    origin.add("/thing.bin", size=5000)
    edge.fetch("/thing.bin")
    edge.wait_idle()
    edge.fetch("/thing.bin", version="1.1", fields={"Range": "bytes=0-9"})
    edge.fetch("/absent")
    edge.stop()
    rows = [(r["request"], r["status"], r["sent"], r["cache"], r["range"]) for r in edge.access_log()]
    assert rows == [("GET /thing.bin HTTP/2.0", 200, 5000, "MISS", ""),
                    ("GET /thing.bin HTTP/1.1", 206, 10, "HIT", "bytes=0-9"),
                    ("GET /absent HTTP/2.0", 404, 14, "MISS", "")]


NAMES = """requests_total cache_hits_total cache_misses_total collapsed_total upstream_requests_total
upstream_bytes_total fills_running fill_readers cache_bytes cache_blobs evicted_blobs_total fill_resumes_total
digest_mismatches_total connections_active""".split()


def test_the_admin_listener_tells_metrics_and_health(edge, origin):
    origin.add("/thing.bin", size=5000)
    edge.fetch("/thing.bin")
    status, text = edge.admin("/metrics")
    assert status == 200
    for name in NAMES:
        assert f"# HELP entrepot_{name} " in text and f"# TYPE entrepot_{name} " in text
    assert edge.metrics()["upstream_bytes_total"] == 5000
    assert [edge.admin(path)[0] for path in ("/livez", "/readyz", "/other")] == [200, 200, 404]
    assert edge.admin("/metrics", method="POST")[0] == 405


def test_a_local_repository_serves_the_files_of_its_root(make_edge, tmp_path):
    (tmp_path / "files" / "sub").mkdir(parents=True)
    (tmp_path / "files" / "sub" / "a.bin").write_bytes(bytes(range(256)) * 4096)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "files" / "out").symlink_to(tmp_path / "secret")
    edge = make_edge("location /files/ { repository files; }",
                     http=f"repository files {{ format generic; root {tmp_path}/files; }}").start()
    whole = edge.fetch("/files/sub/a.bin")
    assert whole.body == bytes(range(256)) * 4096
    part = edge.fetch("/files/sub/a.bin", fields={"Range": "bytes=256-511"})
    assert (part.status, part.body) == (206, bytes(range(256)))
    assert edge.fetch("/files/sub/a.bin", fields={"If-None-Match": whole.fields["etag"]}).status == 304
    assert edge.fetch("/files/absent").status == 404
    for outside in ("/files/../secret", "/files/%2e%2e/secret", "/files/sub/../../secret", "/files/out"):
        response = edge.fetch(outside)
        assert response.status in (400, 403, 404) and b"secret" not in response.body, outside
