"""What is kept, for how long, once or twice, and what leaves when there is no room."""
import hashlib
import os
import threading

from support.origin import Answer

MIB = 1 << 20


def is_hit(response):
    return response.cache_status.startswith("entrepot; hit")


def test_what_is_not_fresh_is_validated_and_a_304_makes_it_good_again(edge, origin):
    thing = origin.add("/thing.bin", size=MIB, fields={"Cache-Control": "max-age=0"})
    edge.fetch("/thing.bin")
    edge.wait_idle()
    again = edge.fetch("/thing.bin")
    assert again.body == thing.data
    assert again.cache_status == "entrepot; fwd=stale; fwd-status=304"
    assert [(r.status, r.fields.get("if-none-match")) for r in origin.requests] == [(200, None), (304, '"v1"')]
    assert origin.body_bytes() == MIB


def test_a_change_that_validation_finds_replaces_what_is_stored(edge, origin):
    thing = origin.add("/thing.bin", size=MIB, fields={"Cache-Control": "max-age=0"})
    edge.fetch("/thing.bin")
    edge.wait_idle()
    thing.data, thing.etag = bytes(reversed(thing.data)), '"v2"'
    changed = edge.fetch("/thing.bin")
    assert changed.complete and changed.body == thing.data and changed.fields["etag"] == '"v2"'
    assert changed.cache_status == "entrepot; fwd=stale"
    edge.wait_idle()
    assert edge.fetch("/thing.bin").body == thing.data and origin.requests[-1].status == 304


def test_many_clients_validate_once(edge, origin):
    thing = origin.add("/thing.bin", size=MIB, fields={"Cache-Control": "max-age=0"})
    edge.fetch("/thing.bin")
    edge.wait_idle()
    everybody = threading.Event()
    thing.tamper = lambda answer, request, n: setattr(answer, "head_gate", everybody)
    fetches = [edge.start_fetch("/thing.bin", version="2" if i % 2 else "1.1") for i in range(12)]
    edge.wait_metric("fill_readers", lambda readers: readers == 12)
    everybody.set()
    assert all(fetch.result().body == thing.data for fetch in fetches)
    assert [r.status for r in origin.requests] == [200, 304]


def test_proxy_cache_valid_says_how_long_where_the_origin_does_not(make_edge, origin):
    thing = origin.add("/thing.bin", size=1000)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}\n"
                     f"location /kept/ {{ proxy_pass {origin.url}/; proxy_cache_valid 200 1h; }}").start()
    for path, requests in (("/thing.bin", 2), ("/kept/thing.bin", 1)):
        origin.forget()
        for _ in range(2):
            assert edge.fetch(path).body == thing.data
            edge.wait_idle()
        assert len(origin.requests) == requests, path


def test_the_origins_own_word_wins_over_proxy_cache_valid(edge, origin):
    origin.add("/thing.bin", size=1000, fields={"Cache-Control": "no-cache"})
    for _ in range(2):
        edge.fetch("/thing.bin")
        edge.wait_idle()
    assert [r.status for r in origin.requests] == [200, 304]


def test_a_blob_that_its_url_names_by_digest_is_never_asked_for_again(edge, origin):
    data = b"layer" * 100_000
    url = f"/v2/app/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    origin.add(url, data=data, fields={"Cache-Control": "max-age=0"})
    edge.fetch(url)
    edge.wait_idle()
    again = edge.fetch(url)
    assert again.body == data and is_hit(again) and len(origin.requests) == 1


def test_two_names_of_one_digest_cost_one_body_and_are_stored_once(edge, origin):
    data = os.urandom(4 * MIB)
    promise = {"X-Checksum-Sha256": hashlib.sha256(data).hexdigest()}
    first, second = (origin.add(path, data=data, fields=promise) for path in ("/one.bin", "/two.bin"))
    assert edge.fetch("/one.bin").body == data
    edge.wait_idle()
    other = edge.fetch("/two.bin")
    assert other.body == data and other.cache_status == "entrepot; fwd=uri-miss"
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 1 and edge.metrics()["fills_merged_total"] == 1
    asked = len(origin.requests)
    assert is_hit(edge.fetch("/two.bin")) and len(origin.requests) == asked
    assert first.asked == second.asked == 1


def test_a_fill_joins_the_one_that_brings_its_digest_already(edge, origin):
    data = os.urandom(4 * MIB)
    promise = {"X-Checksum-Sha256": hashlib.sha256(data).hexdigest()}
    go_on = threading.Event()
    for path in ("/one.bin", "/two.bin"):
        origin.add(path, data=data, fields=promise).tamper = (
            lambda answer, request, n: answer.gates.append((MIB, go_on)))
    one = edge.start_fetch("/one.bin")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == MIB)
    two = edge.start_fetch("/two.bin")
    edge.wait_metric("fills_merged_total", lambda merged: merged == 1)
    go_on.set()
    assert one.result().body == data == two.result().body
    edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 1
    origin.forget()
    assert is_hit(edge.fetch("/one.bin")) and is_hit(edge.fetch("/two.bin")) and origin.requests == []


def test_equal_bytes_without_any_promise_are_stored_once(edge, origin):
    data = os.urandom(3 * MIB)
    for path in ("/one.bin", "/two.bin"):
        origin.add(path, data=data, etag=f'"{path}"')
        assert edge.fetch(path).body == data
        edge.wait_idle()
    assert edge.metrics()["cache_blobs"] == 1 and edge.metrics()["deduplicated_total"] == 1
    origin.forget()
    for path in ("/one.bin", "/two.bin"):
        response = edge.fetch(path)
        assert response.body == data and response.fields["etag"] == f'"{path}"'
    assert origin.requests == []


def bytes_on_disk(folder):
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def test_eviction_holds_max_size_while_serving(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=64m").start()
    things = [origin.add(f"/thing{i}.bin", size=4 * MIB) for i in range(40)]
    for i, thing in enumerate(things):
        assert edge.fetch(f"/thing{i}.bin", version="2" if i % 2 else "1.1").sha256 == thing.sha256
        edge.wait_idle()
        assert edge.metrics()["cache_bytes"] <= 64 * MIB
    edge.wait_metric("cache_bytes", lambda value: value <= 0.91 * 64 * MIB)
    assert edge.metrics()["evicted_blobs_total"] >= 24
    assert bytes_on_disk(edge.folder + "/cache/blobs") <= 72 * MIB
    for i, thing in enumerate(things):
        assert edge.fetch(f"/thing{i}.bin").sha256 == thing.sha256
    assert len(origin.requests) > 40  # what was evicted had to come again


def test_a_part_that_is_stored_never_answers_for_the_whole(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB, fields={"Cache-Control": "max-age=600"})
    edge.fetch("/big.bin", fields={"Range": "bytes=0-99"})
    edge.wait_idle()
    other = edge.fetch("/big.bin", fields={"Range": "bytes=0-99", "If-Range": '"another"'})
    assert other.status == 200 and other.complete and other.sha256 == thing.sha256


def test_a_range_of_something_stale_validates_it_whole(edge, origin):
    thing = origin.add("/thing.bin", size=8 * MIB, fields={"Cache-Control": "max-age=0"})
    edge.fetch("/thing.bin")
    edge.wait_idle()
    part = edge.fetch("/thing.bin", fields={"Range": "bytes=5-14"})
    assert part.status == 206 and part.body == thing.data[5:15]
    assert [request.status for request in origin.requests] == [200, 304]
    assert edge.fetch("/thing.bin").sha256 == thing.sha256 and origin.body_bytes() == 8 * MIB


def test_a_digest_in_the_url_makes_no_error_immortal(edge, origin):
    path = "/blobs/sha256:" + hashlib.sha256(b"later").hexdigest()
    gone = origin.add(path, data=b"not yet")
    gone.tamper = lambda answer, request, n: Answer(404, {"Cache-Control": "max-age=0"}, b"not yet") if n == 0 else None
    assert edge.fetch(path).status == 404
    edge.wait_idle()
    gone.data = b"later"
    response = edge.fetch(path)
    assert response.status == 200 and response.body == b"later"


def test_names_that_only_look_alike_are_two(make_edge, origin):
    edge = make_edge("location / { repository things; }",
                     http=f"repository things {{ format generic; proxy_pass {origin.url}; proxy_cache edge; "
                          "proxy_cache_valid 200 1h; }").start()
    for path in ("/pkg%3Fx=1", "/pkg?x=1", "/a%252Fb", "/a/b", "/a//b"):
        thing = origin.add(path, size=100)
        assert edge.fetch(path).body == thing.data == edge.fetch(path).body


def test_what_follows_another_fill_keeps_its_own_fields(edge, origin):
    data = os.urandom(4 * MIB)
    promise = {"X-Checksum-Sha256": hashlib.sha256(data).hexdigest()}
    go_on = threading.Event()
    for path, kind in (("/one", "text/one"), ("/two", "text/two")):
        origin.add(path, data=data, etag=f'"{path}"', fields={**promise, "Content-Type": kind}).tamper = (
            lambda answer, request, n: answer.gates.append((MIB, go_on)))
    one = edge.start_fetch("/one")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == MIB)
    two = edge.start_fetch("/two")
    edge.wait_metric("fills_merged_total", lambda merged: merged == 1)
    go_on.set()
    for path, kind, fetch in (("/one", "text/one", one), ("/two", "text/two", two)):
        response = fetch.result()
        assert response.body == data
        assert (response.fields["content-type"], response.fields["etag"]) == (kind, f'"{path}"')


def test_what_a_fill_asks_for_is_not_the_confs_to_say(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; "
                     'proxy_set_header Range "bytes=0-9"; proxy_set_header X-Own "1"; }').start()
    thing = origin.add("/big.bin", size=MIB)
    assert edge.fetch("/big.bin").body == thing.data
    assert "range" not in origin.requests[0].fields and origin.requests[0].fields["x-own"] == "1"


def test_what_is_personal_is_asked_for_with_the_clients_own_cookie(edge, origin):
    thing = origin.add("/mine", size=100, fields={"Cache-Control": "private"})
    assert edge.fetch("/mine", fields={"Cookie": "user=7"}).body == thing.data
    assert origin.requests[-1].fields.get("cookie") == "user=7"


def test_what_does_not_fit_into_the_cache_is_served_all_the_same(make_edge, origin):
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}",
                     cache="max_size=16m").start()
    thing = origin.add("/huge.bin", size=20 * MIB)
    fetches = [edge.start_fetch("/huge.bin") for _ in range(3)]
    assert all(fetch.result().sha256 == thing.sha256 for fetch in fetches)
    part = edge.fetch("/huge.bin", fields={"Range": "bytes=5-14"})
    assert part.status == 206 and part.body == thing.data[5:15]
    assert edge.metrics()["cache_bytes"] == 0


def test_what_is_stored_is_there_after_a_restart(edge, origin):
    things = [origin.add(f"/thing{i}.bin", size=size) for i, size in enumerate((0, 100, 70_000, 3 * MIB))]
    for i in range(len(things)):
        edge.fetch(f"/thing{i}.bin")
    edge.wait_idle()
    edge.stop()
    origin.forget()
    edge.start()
    for i, thing in enumerate(things):
        response = edge.fetch(f"/thing{i}.bin")
        assert response.body == thing.data and is_hit(response)
    assert origin.requests == []


def test_a_part_that_is_stored_is_there_after_a_restart(edge, origin):
    thing = origin.add("/big.bin", size=16 * MIB)
    edge.fetch("/big.bin", fields={"Range": "bytes=0-99"})
    edge.wait_idle()
    edge.stop()
    before = origin.body_bytes()
    edge.start()
    assert edge.fetch("/big.bin").sha256 == thing.sha256
    assert origin.body_bytes() == 16 * MIB > before


def test_a_bit_that_flips_on_the_disk_reaches_nobody(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    edge.fetch("/big.bin")
    edge.wait_idle()
    edge.stop()
    [path] = [os.path.join(parent, name) for parent, _, names in os.walk(edge.folder + "/cache/blobs")
              for name in names]
    with open(path, "r+b") as file:
        file.seek(2 * MIB + 77)
        byte = file.read(1)[0]
        file.seek(2 * MIB + 77)
        file.write(bytes([byte ^ 8]))
    edge.start()
    broken = edge.fetch("/big.bin")
    assert not broken.complete
    assert edge.metrics()["corrupt_chunks_total"] >= 1
    healed = edge.fetch("/big.bin")
    assert healed.complete and healed.sha256 == thing.sha256
