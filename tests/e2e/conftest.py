import contextlib

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


@contextlib.contextmanager
def warm_edge(folder, certificate, origin, **options):
    """One edge that has /small and /big; /probe answers without an upstream, /pass/ never without it."""
    edge = Edge(folder, certificate, workers=1, locations=f"""
        location = /probe {{ return 204; }}
        location /pass/ {{ proxy_pass {origin.url}; proxy_cache off; }}
        location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}""", **options).start()
    for path in ("/small", "/big"):
        assert edge.fetch(path).body == origin.resources[path]
    yield edge
    edge.stop()


@pytest.fixture(scope="module")
def strict_edge(tmp_path_factory, certificate, strict_origin):
    """One for all rows of a file."""
    with warm_edge(tmp_path_factory.mktemp("edge"), certificate, strict_origin) as edge:
        yield edge


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, certificate, strict_origin):
    """One that waits for windows for a second only."""
    with warm_edge(tmp_path_factory.mktemp("edge"), certificate, strict_origin, server="send_timeout 1s;") as edge:
        yield edge


@pytest.fixture
def asked(strict_origin):
    """What the origin is asked within the test: (method, target, body) of each."""
    before = len(strict_origin.requests)
    yield lambda: [(r.method, r.target, r.body) for r in strict_origin.requests[before:]]
    assert not strict_origin.strange
