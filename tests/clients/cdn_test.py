"""curl is led to a CDN and back: Debian's nginx, or a second edge, whose origin is the edge that sent it there."""
import time

import pytest

from support.client import fetch
from support.daemons import Nginx
from support.images import digest_of
from support.origin import Answer, made_bytes

PROGRAMS = ("curl", "nginx")
SIZE = 2 << 20


class NginxCdn:
    """Keeps what it has by its path alone, and passes the link on to who made it."""

    def __init__(self, folder, edge, certificate):
        self._nginx = Nginx(folder, server=f"""
            ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};
            location / {{ proxy_pass https://127.0.0.1:{edge.tls_port}; proxy_set_header X-Entrepot-No-Redirect 1;
                          proxy_cache cdn; proxy_cache_key $uri; proxy_cache_valid 200 1h; }}""",
                            http=f"proxy_cache_path {folder}/cache keys_zone=cdn:1m;")
        self.url = f"https://localhost:{self._nginx.port}"

    def start(self):
        self._nginx.start()

    def stop(self):
        self._nginx.kill()

    def asked(self):
        return [(target, status) for _, target, status, _ in self._nginx.requests()]


class EdgeCdn:
    """The same as an Entrepot."""

    def __init__(self, folder, edge, make_edge):
        self._edge = make_edge(f"location / {{ proxy_pass https://localhost:{edge.tls_port}; "
                               f"proxy_ssl_trusted_certificate {edge.ca}; proxy_cache_key $uri; "
                               "proxy_set_header X-Entrepot-No-Redirect 1; proxy_cache_valid 200 1h; }",
                               folder=folder, workers=1)
        self.url = self._edge.url("")

    def start(self):
        self._edge.start()

    def stop(self):
        self._edge.stop()

    def asked(self):
        return [(line["request"].split(" ")[1], line["status"]) for line in self._edge.access_log()]


@pytest.fixture(params=["nginx", "entrepot"])
def make_pair(request, make_edge, origin, certificate, tmp_path):
    """make_pair(more of the repository): an edge, and the CDN that it sends its clients to."""
    cdns = []

    def make(text=""):
        edge = make_edge("location / { repository things; }", workers=1)
        secret = tmp_path / "secret"
        secret.write_text("a secret of links\n")
        secret.chmod(0o600)
        folder = tmp_path / "cdn"
        cdn = (NginxCdn(folder, edge, certificate) if request.param == "nginx" else EdgeCdn(folder, edge, make_edge))
        cdns.append(cdn)
        edge.write_conf(http=f"repository things {{ format generic; proxy_pass {origin.url}; proxy_cache_valid 200 1h; "
                             f"cdn_redirect {cdn.url} sign=secure_link:{secret}; {text} }}")
        edge.start()
        cdn.start()
        return edge, cdn

    yield make
    for cdn in cdns:
        cdn.stop()


def add_blob(origin, seed="blob"):
    data = made_bytes(SIZE, seed=seed)
    path = f"/v2/app/blobs/{digest_of(data)}"
    return path, origin.add(path, data)


def follow(edge, path, **options):
    return edge.fetch(path, curl=["--location", "--max-redirs", "1", *options.pop("curl", [])], **options)


def ends(edge, cdn):
    """(target without its query, status) of what either was asked for."""
    cdn.stop()
    edge.stop()
    asked = [(line["request"].split(" ")[1], line["status"]) for line in edge.access_log()]
    return [[(target.split("?")[0], status) for target, status in one] for one in (asked, cdn.asked())]


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_curl_follows_to_the_cdn_which_asks_the_edge_once(make_pair, origin, version):
    path, blob = add_blob(origin)
    edge, cdn = make_pair()
    for _ in range(3):
        got = follow(edge, path, version=version)
        assert (got.status, got.exit_code, got.sha256) == (200, 0, blob.sha256), got.error
        edge.wait_idle()
    part = follow(edge, path, version=version, fields={"Range": "bytes=1000-1999"})
    assert (part.status, part.body) == (206, blob.data[1000:2000])
    assert edge.metrics()["cdn_redirects_total"] == 3
    assert [r.target for r in origin.requests] == [path]
    of_edge, of_cdn = ends(edge, cdn)
    assert of_edge == [(path, 200), (path, 307), (path, 200), (path, 307), (path, 307)], "the CDN asked once"
    assert of_cdn == [(path, 200), (path, 200), (path, 206)]


def test_the_link_is_all_that_the_cdn_needs_of_a_clients_right(make_pair, origin):
    """The client's credentials stay with the edge; a link that was tampered with opens nothing there."""
    (path, blob), (other, of_other) = add_blob(origin), add_blob(origin, "other")
    for resource in (blob, of_other):
        resource.tamper = lambda answer, request, n: (
            answer if request.fields.get("authorization") == "Bearer good" else Answer(401, {}, b"no\n"))
    edge, cdn = make_pair("authorize upstream;")
    for target in (path, other):
        assert edge.fetch(target, fields={"Authorization": "Bearer good"}).status == 200
        edge.wait_idle()
    asked = len(origin.requests)
    good = ["--oauth2-bearer", "good"]  # which curl does not show to another host
    got = follow(edge, path, curl=good)
    assert (got.status, got.sha256) == (200, blob.sha256), got.error
    assert follow(edge, other).status == 401
    link = edge.fetch(other, curl=good).fields["location"]
    assert link.startswith(cdn.url + other)
    for bad in (link.replace("expires=", "expires=1"), link[:-1], f"{cdn.url}{other}?expires={int(time.time())}&sig=x"):
        got = fetch(bad, ca=edge.ca, version="1.1")
        assert got.status == 403 and of_other.data[:100] not in got.body
    got = fetch(link, ca=edge.ca, version="1.1")
    assert (got.status, got.sha256) == (200, of_other.sha256)
    assert [r.method for r in origin.requests[asked:]] == ["HEAD"], "whether somebody without credentials may have it"
