"""npm as a client, with nothing of this machine's, and packages made for it."""
import base64
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile

import pytest

from support.origin import made_bytes

NPM = "/usr/bin/npm"
FULL, ABBREVIATED = FORMS = ("application/json", "application/vnd.npm.install-v1+json")


def packed(name, version, **more):
    """(manifest, {file: bytes}) of a package; the bytes do not compress."""
    manifest = {"name": name, "version": version, "main": "index.js", "license": "MIT", **more}
    files = {"index.js": f"module.exports = {json.dumps(f'{name} {version}')};\n".encode(),
             "data.bin": made_bytes(150_000, seed=f"{name} {version}")}
    return manifest, files


def make_tgz(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def sri(data, algorithm="sha512"):
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


class Npm:
    """npm with a home, a cache and a configuration of its own, and one registry. `token`: what it shows there."""

    def __init__(self, folder, registry, ca=None, token=None):
        self.folder = folder
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (folder / "home").mkdir()
        lines = [f"registry={registry}", f"cache={folder}/cache", "update-notifier=false", "fund=false",
                 "fetch-retries=0"]
        if token:
            lines.append(f"{registry.split(':', 1)[1]}:_authToken={token}")
        if ca:
            lines.append(f"cafile={ca}")
        (folder / "npmrc").write_text("\n".join(lines) + "\n")

    def run(self, *words, cwd=None):
        assert os.path.exists(NPM), "npm is not installed"
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"), "NO_COLOR": "1",
               "npm_config_userconfig": str(self.folder / "npmrc"),
               "npm_config_globalconfig": str(self.folder / "none")}
        return subprocess.run([NPM, *words], cwd=cwd or self.project, env=env, capture_output=True, text=True,
                              check=False, timeout=300, stdin=subprocess.DEVNULL)

    def __call__(self, *words, cwd=None):
        done = self.run(*words, cwd=cwd)
        assert done.returncode == 0, f"npm {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def lock(self):
        return json.loads((self.project / "package-lock.json").read_text())["packages"]


@pytest.fixture
def make_registry(make_edge):
    """make_registry(upstream's URL, more of the repository): an edge whose /npm/ is that upstream."""
    def make(upstream, text="proxy_cache_valid 200 1h;", location=""):
        return make_edge(f"location /npm/ {{ repository packages; {location} }}",
                         http=f"repository packages {{ format npm; proxy_pass {upstream}; {text} }}").start()
    return make


@pytest.fixture
def make_npm(tmp_path):
    """make_npm(edge, name): a fresh npm whose only registry is the edge."""
    return lambda edge, name, token=None: Npm(tmp_path / name, edge.url("/npm/"), edge.ca, token)
