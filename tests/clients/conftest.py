import shutil

import pytest

from support.images import Layout
from support.versions import versions_of


@pytest.fixture(autouse=True)
def versions(request, record_property):
    """Every file says with PROGRAMS which clients and servers it is about."""
    record_property("versions", versions_of(request.module.PROGRAMS))


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return Layout(tmp_path_factory.mktemp("layout"))


@pytest.fixture
def authorities(tmp_path, certificate):
    """A folder as the clients of registries want it: --src-cert-dir, --cert-dir."""
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(certificate[0], folder / "edge.crt")
    return folder
