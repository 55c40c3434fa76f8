"""skopeo and buildah pull through repositories of format oci: indexes, crowds, moved tags, registries in trouble."""
import collections
import concurrent.futures
import json
import shutil

import pytest

from support.daemons import Registry
from support.edge import wait_until
from support.images import (IMAGE, OCI_INDEX, OCI_MANIFEST, Layout, assert_whole, buildah_pull, digest_of, pull, push,
                            skopeo)
from support.origin import Answer, Origin

PROGRAMS = ("skopeo", "buildah", "curl", "docker-registry")

SIZES = (300, 2 << 20)
ACCEPT = {"Accept": f"{OCI_INDEX}, {OCI_MANIFEST}"}


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """Two architectures under one tag."""
    return Layout(tmp_path_factory.mktemp("index"), ("amd64", "arm64"), SIZES, seed=1000)


@pytest.fixture(scope="session")
def newer(tmp_path_factory):
    return Layout(tmp_path_factory.mktemp("newer"), ("amd64",), SIZES, seed=2000)


def pushed(folder, layout):
    """The folder of a registry that holds the layout."""
    registry = Registry(folder).start()
    push(layout, registry, folder)
    registry.kill()
    return folder / "store"


@pytest.fixture(scope="session")
def index_store(tmp_path_factory, index):
    return pushed(tmp_path_factory.mktemp("index-registry"), index)


@pytest.fixture(scope="session")
def newer_store(tmp_path_factory, newer):
    return pushed(tmp_path_factory.mktemp("newer-registry"), newer)


@pytest.fixture
def registry(tmp_path, index_store):
    shutil.copytree(index_store, tmp_path / "registry" / "store")
    registry = Registry(tmp_path / "registry").start()
    yield registry
    registry.kill()


def repository(upstream, name="images", text="proxy_cache_valid 200 1h;"):
    return f"repository {name} {{ format oci; proxy_pass {upstream.url}; {text} }}\n"


@pytest.fixture
def edge(make_edge, registry):
    return make_edge("location /v2/ { repository images; }", http=repository(registry)).start()


def gets(registry, kind):
    """How often each was asked for with GET."""
    return collections.Counter(target for method, target, _ in registry.requests()
                               if method == "GET" and f"/{kind}/" in target)


def tag_digest(edge, prefix="/v2", tag="1.0", image=IMAGE):
    got = edge.fetch(f"{prefix}/{image}/manifests/{tag}", method="HEAD", fields=ACCEPT)
    assert got.status == 200, got.error
    return got.fields["docker-content-digest"]


def error_code(got):
    return json.loads(got.body)["errors"][0]["code"]


# -- pulls --

def test_an_index_is_pulled_by_tag_and_by_digest_and_again_with_the_registry_dead(edge, registry, index, authorities,
                                                                                  tmp_path):
    ways = {"tag": ":1.0", "digest": f"@{index.manifest_digest}"}
    for way, reference in ways.items():
        assert_whole(index, pull(edge, authorities, tmp_path / way, reference=reference, options=("--all",)))
    edge.wait_idle()
    manifests = index.manifest_digests()
    asked = gets(registry, "manifests")
    assert asked == {f"/v2/{IMAGE}/manifests/{digest}": 1 for digest in manifests}
    blobs = gets(registry, "blobs")
    assert blobs == {f"/v2/{IMAGE}/blobs/{digest}": 1 for digest in set(index.blobs) - manifests}
    registry.kill()
    for way, reference in ways.items():
        assert_whole(index, pull(edge, authorities, tmp_path / f"{way} again", reference=reference,
                                 options=("--all",)))


def test_one_architecture_of_an_index_costs_nothing_of_the_other(edge, registry, index, authorities, tmp_path):
    pulled = pull(edge, authorities, tmp_path / "arm", options=("--override-arch", "arm64"))
    edge.wait_idle()
    config = json.loads(index.blobs[index.images[1]["digest"]])["config"]["digest"]
    assert (pulled / "blobs" / "sha256" / config.split(":")[1]).read_bytes() == index.blobs[config]
    assert sum(gets(registry, "blobs").values()) == len(SIZES) + 1


@pytest.mark.parametrize("way", ["tag", "digest"])
def test_buildah_pulls_the_image_of_each_architecture_and_again_with_the_registry_dead(edge, registry, index,
                                                                                       authorities, tmp_path, way):
    reference = {"tag": ":1.0", "digest": f"@{index.manifest_digest}"}[way]
    for round_ in ("alive", "dead"):
        for number, architecture in enumerate(index.files):
            image, files = buildah_pull(tmp_path / f"{round_} {architecture}", edge, authorities, reference,
                                        architecture)
            config = json.loads(index.blobs[index.images[number]["digest"]])["config"]["digest"]
            assert image == config.split(":")[1]
            assert files == index.files[architecture]
        edge.wait_idle()
        registry.kill()
    manifests = index.manifest_digests()
    assert gets(registry, "manifests") == {f"/v2/{IMAGE}/manifests/{digest}": 1 for digest in manifests}
    assert gets(registry, "blobs") == {f"/v2/{IMAGE}/blobs/{digest}": 1 for digest in set(index.blobs) - manifests}


def test_twenty_pulls_of_a_cold_image_cost_each_blob_once(make_edge, registry, index, authorities, tmp_path):
    edge = make_edge("location /v2/ { repository images; }", http=repository(registry)).start()

    def crowd(name, size):
        with concurrent.futures.ThreadPoolExecutor(size) as pool:
            pulls = [pool.submit(pull, edge, authorities, tmp_path / f"{name}{i}", options=("--all",))
                     for i in range(size)]
            for done in pulls:
                assert_whole(index, done.result())

    crowd("cold", 20)
    edge.wait_idle()
    for kind in ("blobs", "manifests"):
        assert set(gets(registry, kind).values()) == {1}, registry.requests()
    registry.kill()
    crowd("dead", 5)


def test_a_head_of_a_blob_that_is_cold_costs_no_fetch(edge, registry, index):
    digest = max(index.blobs, key=lambda name: len(index.blobs[name]))
    got = edge.fetch(f"/v2/{IMAGE}/blobs/{digest}", method="HEAD")
    assert (got.status, int(got.fields["content-length"])) == (200, len(index.blobs[digest]))
    assert gets(registry, "blobs") == {}


def test_a_range_of_a_layer(edge, registry, index):
    digest = max(index.blobs, key=lambda name: len(index.blobs[name]))
    data = index.blobs[digest]
    for _ in range(2):
        got = edge.fetch(f"/v2/{IMAGE}/blobs/{digest}", fields={"Range": "bytes=1000000-"})
        assert (got.status, got.body) == (206, data[1000000:])
        edge.wait_idle()
    assert edge.fetch(f"/v2/{IMAGE}/blobs/{digest}").body == data
    edge.wait_idle()
    registry.kill()
    got = edge.fetch(f"/v2/{IMAGE}/blobs/{digest}", fields={"Range": "bytes=10-19"})
    assert (got.status, got.body) == (206, data[10:20])


# -- tags --

def test_a_moved_tag_is_seen_after_its_lifetime_and_not_before(make_edge, registry, index, newer, authorities,
                                                               tmp_path):
    edge = make_edge("location /v2/long/ { repository long; } location /v2/short/ { repository short; } "
                     "location = /v2/ { return 200; }",
                     http=repository(registry, "long") +
                     repository(registry, "short", "proxy_cache_valid 200 1s;")).start()
    for name in ("long", "short"):
        assert tag_digest(edge, f"/v2/{name}") == index.manifest_digest
    push(newer, registry, tmp_path)
    wait_until(lambda: tag_digest(edge, "/v2/short") == newer.manifest_digest, "the moved tag to be seen")
    assert_whole(newer, pull(edge, authorities, tmp_path / "short", image=f"short/{IMAGE}"))
    registry.forget()
    assert tag_digest(edge, "/v2/long") == index.manifest_digest
    assert registry.requests() == []
    edge.wait_idle()
    registry.kill()
    assert_whole(newer, pull(edge, authorities, tmp_path / "stale", image=f"short/{IMAGE}"))
    assert tag_digest(edge, "/v2/long") == index.manifest_digest


def test_a_tag_that_is_not_there_and_then_is(make_edge, registry, newer, tmp_path):
    edge = make_edge("location /v2/ { repository images; }",
                     http=repository(registry, text="proxy_cache_valid 200 404 1s;")).start()
    got = edge.fetch(f"/v2/{IMAGE}/manifests/2.0", fields=ACCEPT)
    assert (got.status, error_code(got)) == (404, "MANIFEST_UNKNOWN")
    push(newer, registry, tmp_path, tag="2.0")
    wait_until(lambda: edge.fetch(f"/v2/{IMAGE}/manifests/2.0", fields=ACCEPT).status == 200, "the new tag")
    assert tag_digest(edge, tag="2.0") == newer.manifest_digest


# -- registries --

@pytest.fixture
def second(tmp_path, newer_store):
    shutil.copytree(newer_store, tmp_path / "second" / "store")
    registry = Registry(tmp_path / "second").start()
    yield registry
    registry.kill()


def test_two_registries_behind_one_edge(make_edge, registry, second, index, newer, authorities, tmp_path):
    edge = make_edge("location /v2/a/ { repository a; } location /v2/b/ { repository b; } "
                     "location = /v2/ { return 200; }",
                     http=repository(registry, "a") + repository(second, "b")).start()
    for round_ in ("cold", "dead"):
        for prefix, layout in (("a", index), ("b", newer)):
            assert_whole(layout, pull(edge, authorities, tmp_path / f"{prefix} {round_}", image=f"{prefix}/{IMAGE}",
                                      options=("--all",)))
        edge.wait_idle()
        if round_ == "cold":
            said = json.loads(skopeo(tmp_path, "list-tags", "--cert-dir", str(authorities),
                                     f"docker://localhost:{edge.tls_port}/b/{IMAGE}"))
            assert said["Tags"] == ["1.0"]
            only_in_a = next(iter(set(index.blobs) - index.manifest_digests()))
            assert edge.fetch(f"/v2/b/{IMAGE}/blobs/{only_in_a}").status == 404
        registry.kill()
        second.kill()


class Refusing(Origin):
    """Says the same to everything, where another listened."""

    def __init__(self, port, status):
        super().__init__()
        self.kill()
        self.port, self._status = port, status
        self.restart()

    def _answer(self, request):
        return Answer(self._status, {"Retry-After": "60", "Content-Type": "text/plain"}, b"not now\n")


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_refuses_everything_breaks_no_pull_of_what_is_stored(make_edge, registry, index, authorities,
                                                                             tmp_path, status):
    edge = make_edge("location /v2/ { repository images; }",
                     http=repository(registry, text="proxy_cache_valid 200 1s;")).start()
    pull(edge, authorities, tmp_path / "first", options=("--all",))
    assert tag_digest(edge) == index.manifest_digest
    edge.wait_idle()
    registry.kill()
    refusing = Refusing(registry.port, status)
    try:
        wait_until(lambda: tag_digest(edge) == index.manifest_digest and refusing.requests,
                   "the stored tag to be validated")
        assert_whole(index, pull(edge, authorities, tmp_path / "second", options=("--all",)))
        got = edge.fetch(f"/v2/{IMAGE}/manifests/other", fields=ACCEPT)
        assert got.status >= 429 and error_code(got), got
    finally:
        refusing.close()


# -- documents that must not be served --

@pytest.fixture
def scripted(make_edge, origin):
    return make_edge("location /v2/ { repository images; }", http=repository(origin)).start()


def add_manifest(origin, document, name="a", kind=OCI_MANIFEST, digest=None):
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    digest = digest or digest_of(data)
    fields = {"Content-Type": kind, "Docker-Content-Digest": digest}
    for reference in ("latest", digest):
        origin.add(f"/v2/{name}/manifests/{reference}", data, fields=fields, etag=None)
    return digest


def test_a_manifest_of_two_meanings_is_refused(scripted, origin):
    """CVE-2021-41190."""
    blob = {"mediaType": "x/y", "size": 1, "digest": digest_of(b"x")}
    digest = add_manifest(origin, {"schemaVersion": 2, "config": blob, "layers": [blob], "manifests": [blob]})
    for reference in ("latest", digest):
        got = scripted.fetch(f"/v2/a/manifests/{reference}", fields=ACCEPT)
        assert got.status == 502 and json.loads(got.body)["error"] == "bad-manifest", got.body


def test_a_manifest_of_another_digest_is_refused(scripted, origin):
    wrong = digest_of(b"something else")
    add_manifest(origin, {"schemaVersion": 2, "layers": []}, digest=wrong)
    for reference in ("latest", wrong):
        got = scripted.fetch(f"/v2/a/manifests/{reference}", fields=ACCEPT)
        assert (got.status, error_code(got)) == (502, "UNAVAILABLE"), got.body
    scripted.wait_idle()
    assert scripted.metrics()["cache_blobs"] == 0


@pytest.mark.parametrize("size", [100, 1 << 20])
def test_a_blob_of_another_digest_never_ends_well(scripted, origin, size):
    wrong = digest_of(b"something else")
    blob = origin.add(f"/v2/a/blobs/{wrong}", size=size)
    for version in ("2", "1.1"):
        got = scripted.fetch(f"/v2/a/blobs/{wrong}", version=version)
        assert got.body != blob.data and (got.status >= 500 or not got.complete)
        scripted.wait_idle()
    assert scripted.metrics()["cache_blobs"] == 0


@pytest.mark.parametrize("path", ["A/manifests/latest", "a/manifests/.latest", "a/blobs/sha256:abc",
                                  f"a/blobs/sha256:{'A' * 64}", "-/tags/list", f"{'a' * 300}/manifests/latest"])
def test_a_malformed_name_is_not_passed_on(scripted, origin, path):
    got = scripted.fetch(f"/v2/{path}")
    assert (got.status, error_code(got)) == (400, "NAME_INVALID")
    assert origin.requests == []


# -- lists --

def test_pages_of_a_list_are_asked_for_here(make_edge, origin):
    edge = make_edge("location /v2/a/ { repository images; }", http=repository(origin)).start()
    origin.add("/v2/team/image/tags/list?n=1", b'{"tags":["1"]}', fields={
        "Content-Type": "application/json", "Link": f'<{origin.url}/v2/team/image/tags/list?n=1&last=1>; rel="next"'})
    origin.add("/v2/team/image/tags/list?n=1&last=1", b'{"tags":["2"]}')
    got = edge.fetch("/v2/a/team/image/tags/list?n=1")
    assert (got.status, got.body, got.fields["content-type"]) == (200, b'{"tags":["1"]}', "application/json")
    assert got.fields["link"] == '</v2/a/team/image/tags/list?n=1&last=1>; rel="next"'
    assert edge.fetch("/v2/a/team/image/tags/list?n=1&last=1").body == b'{"tags":["2"]}'
    edge.wait_idle()
    origin.kill()
    assert edge.fetch("/v2/a/team/image/tags/list?n=1").body == b'{"tags":["1"]}'


def test_an_old_registry_that_tells_no_digest(scripted, origin):
    blob = {"mediaType": "x/y", "size": 1, "digest": digest_of(b"x")}
    add_manifest(origin, {"schemaVersion": 2, "config": blob, "layers": []})
    manifest = origin.resources["/v2/a/manifests/latest"]
    del manifest.fields["Docker-Content-Digest"]
    for _ in range(2):
        got = scripted.fetch("/v2/a/manifests/latest", fields=ACCEPT)
        assert (got.status, got.body, got.fields["content-type"]) == (200, manifest.data, OCI_MANIFEST)
        scripted.wait_idle()
        origin.kill()


# -- mirrors of several registries --

@pytest.fixture
def mirror(make_edge, registry, tmp_path, newer_store):
    """One `location /v2/` for two registries: what a client's mirror settings lead to it says which it means."""
    shutil.copytree(newer_store, tmp_path / "second" / "store")
    second = Registry(tmp_path / "second").start()
    conf = (repository(registry, "first") + repository(second, "second") +
            "repository both { format oci; members first second; "
            "route one.example/* first; route two.example/* second; }")
    yield make_edge("location /v2/ { repository both; }", http=conf).start(), registry, second
    second.kill()


def test_a_mirror_asks_the_registry_that_the_client_means(mirror, index, newer):
    edge, first, second = mirror
    for name, layout in (("one.example", index), ("two.example", newer)):
        got = edge.fetch(f"/v2/{IMAGE}/manifests/1.0?ns={name}", fields=ACCEPT)
        assert (got.status, got.fields["docker-content-digest"]) == (200, layout.manifest_digest)
    for asked in (first.requests(), second.requests()):
        assert asked and all("ns=" not in target for _, target, _ in asked)
    edge.wait_idle()
    first.kill()
    second.kill()
    for name, layout in (("one.example", index), ("two.example", newer)):
        got = edge.fetch(f"/v2/{IMAGE}/manifests/1.0?ns={name}", fields=ACCEPT)
        assert got.fields["docker-content-digest"] == layout.manifest_digest


def test_skopeo_pulls_through_a_mirror_of_its_settings(edge, registry, tmp_path, index, authorities):
    """What podman, buildah and skopeo share: registries.conf."""
    settings = tmp_path / "registries.conf"
    settings.write_text(f'[[registry]]\nlocation = "registry.example"\n[[registry.mirror]]\n'
                        f'location = "localhost:{edge.tls_port}"\n')
    folder = tmp_path / "pulled"
    folder.mkdir()
    ca = authorities / "edge.crt"
    certs = tmp_path / ".config/containers/certs.d" / f"localhost:{edge.tls_port}"
    certs.mkdir(parents=True)
    shutil.copy(ca, certs)
    for n in range(2):
        skopeo(tmp_path, "--registries-conf", str(settings), "copy", "--all", "--preserve-digests",
               f"docker://registry.example/{IMAGE}:1.0", f"oci:{folder}/{n}:1.0")
        assert_whole(index, folder / str(n))
        edge.wait_idle()
        registry.kill()
