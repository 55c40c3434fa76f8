"""A repository of format apt that publishes while clients are between its files: what a connection was given decides
what it gets, and Release and Release.gpg are one pair. The Releases are plain text: signatures are the clients'."""
import hashlib
import threading

import pytest

from support.edge import wait_until
from support.origin import Answer, made_bytes

SUITE = "/dists/stable"
LISTS = f"{SUITE}/main/binary-amd64"
IN_RELEASE, RELEASE, SIGNATURE = (f"{SUITE}/{name}" for name in ("InRelease", "Release", "Release.gpg"))
PACKAGES, SOURCE_OF_DOUBT = f"{LISTS}/Packages.xz", f"{LISTS}/Packages.gz"
HIT = 'entrepot; hit; detail="mutable"'


class Dist:
    """Without by-hash: `publish` replaces every file, with others of another length unless `growth` is 0."""

    def __init__(self, origin, apart=False):
        self.origin, self.apart = origin, apart
        self.generation = 0
        self.files = {}  # path -> bytes, of the generation that is published

    def publish(self, growth=1000):
        self.generation += 1
        for path in (PACKAGES, SOURCE_OF_DOUBT):
            length = len(self.files.get(path, bytes(20_000))) + growth
            self.files[path] = made_bytes(length, seed=f"{path} {self.generation}")
        text = "Suite: stable\nAcquire-By-Hash: no\nSHA256:\n" + "".join(
            f" {hashlib.sha256(self.files[path]).hexdigest()} {len(self.files[path])} {path[len(SUITE) + 1:]}\n"
            for path in (PACKAGES, SOURCE_OF_DOUBT))
        if self.apart:
            self.files[RELEASE] = text.encode()
            self.files[SIGNATURE] = signature_of(self.files[RELEASE])
        else:
            self.files[IN_RELEASE] = text.encode()
        for path, data in self.files.items():
            tamper = getattr(self.origin.resources.get(path), "tamper", None)
            self.origin.add(path, data, etag=f'"{hashlib.sha256(data).hexdigest()}"').tamper = tamper
        return dict(self.files)


def signature_of(release):
    return f"signature of {hashlib.sha256(release).hexdigest()}\n".encode()


@pytest.fixture
def edge(make_edge, origin):
    """One worker, so that what one connection made hot is hot for the next; fresh for longer than a test."""
    return make_edge("location / { repository debian; }", workers=1,
                     http=f"repository debian {{ format apt; proxy_pass {origin.url}; proxy_cache edge; "
                          "proxy_cache_valid 200 404 1h; }").start()


@pytest.fixture
def http2(request):
    return getattr(request, "param", False)


@pytest.fixture
def kept(edge, http2):
    connection = edge.http2() if http2 else edge.http1()
    yield Kept(connection)
    connection.close()


class Kept:
    """One connection for all requests: it cannot be opened a second time."""

    def __init__(self, connection):
        self._connection = connection

    def get(self, path, method="GET", **fields):
        """(status, fields, body)"""
        stream = self._connection.get(path, **({} if method == "GET" else {"method": method}), **fields)
        if stream is None:
            return self._connection.response()
        body = self._connection.wait_end(stream)
        return *self._connection.heads[stream], body

    def body(self, path):
        status, _, body = self.get(path)
        assert status == 200, (path, status, body)
        return body


def go_on(edge, release=IN_RELEASE):
    """The edge holds the new generation: a list that is not of the Release which is fresh made it ask again."""
    old = edge.fetch(release).body
    assert edge.fetch(SOURCE_OF_DOUBT).status == 502
    wait_until(lambda: edge.fetch(release).body != old, "the new Release")


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"], indirect=True)
@pytest.mark.parametrize("how", ["miss", "hit", "not modified"])
def test_a_connection_gets_the_lists_of_the_release_that_it_was_given(edge, origin, kept, how):
    dist = Dist(origin)
    old = dist.publish()
    if how != "miss":
        edge.fetch(IN_RELEASE)
        edge.wait_idle()
        assert edge.fetch(IN_RELEASE).cache_status == HIT
    condition = {"If_None_Match": f'"{hashlib.sha256(old[IN_RELEASE]).hexdigest()}"'} if how == "not modified" else {}
    status, fields, _ = kept.get(IN_RELEASE, **condition)
    assert status == (304 if condition else 200)
    assert fields["cache-status"].startswith("entrepot; hit") == (how != "miss"), fields
    assert edge.fetch(PACKAGES).body == old[PACKAGES]
    new = dist.publish()
    go_on(edge)
    for _ in range(3):  # what one of them made hot is not the other's
        assert kept.body(PACKAGES) == old[PACKAGES]
        assert edge.fetch(PACKAGES).body == new[PACKAGES]
    assert len(origin.gets(PACKAGES)) == 2
    assert kept.body(IN_RELEASE) == new[IN_RELEASE]
    assert kept.body(PACKAGES) == new[PACKAGES], "what it was given last counts"
    assert len(origin.gets(PACKAGES)) == 2


@pytest.mark.parametrize("http2", [True], indirect=True)
def test_the_release_of_a_head_is_not_given(edge, origin, kept):
    dist = Dist(origin)
    dist.publish()
    assert edge.fetch(IN_RELEASE).status == 200
    edge.wait_idle()
    assert kept.get(IN_RELEASE, method="HEAD")[0] == 200
    new = dist.publish()
    go_on(edge)
    assert kept.body(PACKAGES) == new[PACKAGES]


def test_nothing_is_pinned_to_the_connection_of_a_proxy(edge, origin, kept):
    dist = Dist(origin)
    dist.publish()
    assert kept.get(IN_RELEASE, Via="1.1 front")[0] == 200
    new = dist.publish()
    go_on(edge)
    assert kept.get(PACKAGES, Via="1.1 front")[2] == new[PACKAGES]


def test_a_list_that_is_gone_is_refused_and_the_new_release_is_there_at_once(edge, origin, kept):
    dist = Dist(origin)
    dist.publish()
    kept.body(IN_RELEASE)
    new = dist.publish()
    for _ in range(2):
        status, fields, body = kept.get(PACKAGES)
        assert status == 502 and fields["content-type"] == "application/problem+json", body
    wait_until(lambda: edge.fetch(IN_RELEASE).body == new[IN_RELEASE], "the new InRelease, fresh as the old one was")
    assert edge.fetch(PACKAGES).body == new[PACKAGES]
    assert kept.get(PACKAGES)[0] == 502
    assert kept.body(IN_RELEASE) == new[IN_RELEASE]
    assert kept.body(PACKAGES) == new[PACKAGES]


def test_a_list_of_the_same_length_never_ends_cleanly_and_casts_doubt_too(edge, origin):
    dist = Dist(origin)
    dist.publish()
    edge.fetch(IN_RELEASE)
    new = dist.publish(growth=0)
    got = edge.fetch(PACKAGES)
    assert got.status == 502 or not got.complete
    wait_until(lambda: edge.fetch(IN_RELEASE).body == new[IN_RELEASE], "the new InRelease")
    assert edge.fetch(PACKAGES).body == new[PACKAGES]


def test_the_old_release_outlives_an_upstream_that_dies_in_doubt(edge, origin):
    dist = Dist(origin)
    old = dist.publish()
    assert edge.fetch(PACKAGES).body == old[PACKAGES]
    dist.publish()
    assert edge.fetch(SOURCE_OF_DOUBT).status == 502
    edge.wait_idle()
    origin.kill()
    assert edge.fetch(IN_RELEASE).body == old[IN_RELEASE]
    assert edge.fetch(PACKAGES).body == old[PACKAGES]


@pytest.mark.parametrize("by_hash", [True, False], ids=["by-hash", "by-path"])
def test_a_list_of_another_length_is_refused_before_it_is_read(edge, origin, by_hash):
    data = made_bytes(8 << 20)
    digest = hashlib.sha256(data).hexdigest()
    origin.add(IN_RELEASE, f"Suite: stable\nAcquire-By-Hash: {'yes' if by_hash else 'no'}\nSHA256:\n"
                           f" {digest} 1000 {PACKAGES[len(SUITE) + 1:]}\n".encode())
    target = f"{LISTS}/by-hash/SHA256/{digest}" if by_hash else PACKAGES
    rest = threading.Event()
    origin.add(target, data).tamper = lambda answer, request, n: answer.gates.append((1 << 20, rest))
    try:
        assert edge.fetch(PACKAGES).status == 502
    finally:
        rest.set()
    edge.wait_log("8388608 bytes long, and must be 1000")


# -- a signature that stands apart --


@pytest.fixture
def dist(origin):
    dist = Dist(origin, apart=True)
    dist.publish()
    return dist


def test_a_signature_is_the_pair_of_the_release_that_a_connection_was_given(edge, origin, kept, dist):
    old = dict(dist.files)
    assert kept.body(RELEASE) == old[RELEASE]
    assert kept.body(SIGNATURE) == old[SIGNATURE]
    assert [request.status for request in origin.gets(RELEASE)] == [200, 304], "the confirmation"
    new = dist.publish()
    go_on(edge, RELEASE)
    for _ in range(2):
        assert kept.body(SIGNATURE) == old[SIGNATURE]
        assert edge.fetch(RELEASE).body == new[RELEASE]
        assert edge.fetch(SIGNATURE).body == new[SIGNATURE]
    assert len(origin.gets(SIGNATURE)) == 2
    origin.kill()
    assert kept.body(SIGNATURE) == old[SIGNATURE]
    assert edge.fetch(SIGNATURE).body == new[SIGNATURE]


def test_a_publish_between_release_and_signature_is_refused_and_then_mended(edge, kept, dist):
    kept.body(RELEASE)
    new = dist.publish()
    status, _, body = kept.get(SIGNATURE)
    assert status == 502 and b"generation-gone" in body, body
    assert kept.body(RELEASE) == new[RELEASE], "asked for anew, fresh as the old one was"
    assert kept.body(SIGNATURE) == new[SIGNATURE]
    assert edge.fetch(SIGNATURE).body == new[SIGNATURE]


@pytest.mark.parametrize("pinned", [True, False], ids=["given", "not given"])
def test_a_publish_right_after_the_signature_makes_no_pair(edge, origin, kept, dist, pinned):
    old = dict(dist.files)
    kept.body(RELEASE)

    def publish_after(answer, request, n):
        if dist.generation == 1:
            dist.publish()

    origin.resources[SIGNATURE].tamper = publish_after
    if pinned:
        assert kept.get(SIGNATURE)[0] == 502
    else:
        got = edge.fetch(SIGNATURE)
        assert got.body == dist.files[SIGNATURE] != old[SIGNATURE]
    release, signature = edge.fetch(RELEASE).body, edge.fetch(SIGNATURE).body
    assert release == dist.files[RELEASE] and signature == signature_of(release)


def test_a_signature_is_not_paired_while_the_upstream_is_dead(edge, origin, kept, dist):
    kept.body(RELEASE)
    edge.wait_idle()
    origin.kill()
    assert kept.get(SIGNATURE)[0] == 502
    origin.restart()
    assert kept.body(SIGNATURE) == dist.files[SIGNATURE]


def test_an_upstream_in_trouble_confirms_nothing(edge, origin, kept, dist):
    kept.body(RELEASE)
    origin.resources[RELEASE].tamper = lambda answer, request, n: Answer(503, {}) if n in (1, 2) else None
    assert kept.get(SIGNATURE)[0] == 502
    assert len(origin.gets(RELEASE)) == 3
    assert kept.body(SIGNATURE) == dist.files[SIGNATURE]


def test_a_repository_without_a_signature_has_none(edge, origin, dist):
    del origin.resources[SIGNATURE]
    assert edge.fetch(RELEASE).body == dist.files[RELEASE]
    assert edge.fetch(SIGNATURE).status == 404


def test_the_in_release_of_a_connection_is_not_what_a_signature_that_stands_apart_is_of(edge, kept, origin, dist):
    text = dist.files[RELEASE].decode()
    origin.add(IN_RELEASE, ("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n" + text +
                            "-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n").encode())
    kept.body(RELEASE)
    kept.body(IN_RELEASE)
    assert kept.body(SIGNATURE) == dist.files[SIGNATURE]
