import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from support.edge import Edge, make_certificate  # noqa: E402
from support.origin import Origin  # noqa: E402


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(str(tmp_path_factory.mktemp("certificate")))


@pytest.fixture
def origin():
    origin = Origin()
    yield origin
    origin.close()


@pytest.fixture
def make_edge(tmp_path, certificate):
    """make_edge(locations, ...): an Edge with a folder of its own, not yet started; stopped with the test."""
    with contextlib.ExitStack() as ends:
        number = iter(range(1000))

        def make(locations, folder=None, **options):
            folder = folder or tmp_path / f"edge{next(number)}"
            folder.mkdir(exist_ok=True)
            edge = Edge(folder, certificate, locations, **options)
            ends.callback(edge.stop)
            return edge

        yield make


@pytest.fixture
def edge(make_edge, origin):
    """The usual one: caches all of `origin` for an hour, two workers."""
    return make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()


def pytest_terminal_summary(terminalreporter):
    """What clients and servers were used: tests/clients says it of each of its files."""
    found = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ())).get("versions")
            if told:
                found[report.nodeid.split("::")[0]] = told
    if found:
        terminalreporter.section("versions")
    for file, told in sorted(found.items()):
        terminalreporter.write_line(f"{file}: {told}")


@pytest.fixture
def edge_of(make_edge, origin):
    """edge_of(format, text): one whose only location is a repository of `origin`; one worker."""
    def make(kind, text="proxy_cache_valid 200 1h;"):
        return make_edge("location / { repository things; }", workers=1,
                         http=f"repository things {{ format {kind}; proxy_pass {origin.url}; {text} }}").start()
    return make
