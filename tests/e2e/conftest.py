import pytest

from support.edge import Edge
from support.strict_origin import StrictOrigin


@pytest.fixture(scope="module")
def strict_origin():
    """Of strict_edge: what a file of rows asks for."""
    targets = ("/pass/thing", "/pass/other", "/pass/thing?u=http://x/", "/pass/thing?a=%0d%0aX:%20y")
    origin = StrictOrigin({"/small": b"s" * 100, "/big": b"b" * 200_000, **dict.fromkeys(targets, b"0123456789")})
    yield origin
    origin.close()
    assert not origin.strange


@pytest.fixture(scope="module")
def strict_edge(tmp_path_factory, certificate, strict_origin):
    """One edge for all rows of a file; /probe answers without an upstream, /pass/ never without it."""
    edge = Edge(tmp_path_factory.mktemp("edge"), certificate, workers=1, locations=f"""
        location = /probe {{ return 204; }}
        location /pass/ {{ proxy_pass {strict_origin.url}; proxy_cache off; }}
        location / {{ proxy_pass {strict_origin.url}; proxy_cache_valid 200 1h; }}""").start()
    for path in ("/small", "/big"):
        assert edge.fetch(path).body == strict_origin.resources[path]
    yield edge
    edge.stop()


@pytest.fixture
def asked(strict_origin):
    """What the origin is asked within the test: (method, target, body) of each."""
    before = len(strict_origin.requests)
    yield lambda: [(r.method, r.target, r.body) for r in strict_origin.requests[before:]]
    assert not strict_origin.strange
