"""Debian's pip takes a wheel and an sdist from an index behind a repository of format pypi."""
import base64
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile

import pytest

from support.edge import wait_until
from support.origin import Answer, Origin, made_bytes

PIP = "/usr/bin/pip3"
JSON = "application/vnd.pypi.simple.v1+json"
PAGE = "/simple/tiny-thing/"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# -- what the index holds --

def make_wheel(version, size=1000):
    """A wheel of one module of random bytes; and its metadata."""
    metadata = f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n".encode()
    info = f"tiny_thing-{version}.dist-info"
    files = {"tiny_thing.py": b"# " + base64.b64encode(made_bytes(size, seed=version)) + b"\n",
             f"{info}/METADATA": metadata,
             f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue(), metadata


def make_sdist(version):
    """An sdist that needs nothing to be built: its own backend tells its metadata."""
    backend = f"""
import os
def get_requires_for_build_wheel(settings=None):
    return []
def prepare_metadata_for_build_wheel(folder, settings=None):
    name = "tiny_thing-{version}.dist-info"
    os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, name, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: tiny-thing\\nVersion: {version}\\n")
    return name
"""
    files = {"PKG-INFO": f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n",
             "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
             "backend.py": backend}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"tiny_thing-{version}/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return out.getvalue()


@dataclasses.dataclass
class File:
    name: str
    data: bytes
    metadata: bytes = b""
    yanked: str = ""
    url: str = ""


class Index:
    """The index of one project in both forms on `origin`; its files on `files`, perhaps another host."""

    def __init__(self, origin, files=None, forms=("json", "html")):
        self.origin, self._host, self._forms = origin, files or origin, forms
        self.files = {}
        wheel, metadata = make_wheel("1.0")
        self.add(File("tiny_thing-1.0-py3-none-any.whl", wheel, metadata))
        self.add(File("tiny_thing-1.1.tar.gz", make_sdist("1.1")))

    def add(self, file):
        path = f"/packages/{file.name}"
        file.url = path if self._host is self.origin else self._host.url + path
        self._host.add(path, file.data)
        if file.metadata:
            self._host.add(path + ".metadata", file.metadata)
        self.files[file.name] = file
        self.publish()

    def remove(self, name):
        file = self.files.pop(name)
        del self._host.resources[f"/packages/{file.name}"]
        self.publish()

    def publish(self):
        """The page is what the files are now."""
        pages = {"json": (JSON, self._json().encode()), "html": ("text/html", self._html().encode())}
        pages = {form: pages[form] for form in self._forms}

        def answer(answer, request, n):
            form = "json" if JSON in request.fields.get("accept", "") else "html"
            kind, body = pages.get(form, next(iter(pages.values())))
            fields = {"Content-Type": kind, "ETag": f'"{sha256(body)[:16]}"', "Vary": "Accept"}
            if request.fields.get("if-none-match") == fields["ETag"]:
                return Answer(304, fields)
            return Answer(200, fields, body)

        self.origin.add(PAGE, b"").tamper = answer

    def _json(self):
        files = []
        for file in self.files.values():
            entry = {"filename": file.name, "url": file.url, "hashes": {"sha256": sha256(file.data)}}
            if file.metadata:
                entry["core-metadata"] = {"sha256": sha256(file.metadata)}
            if file.yanked:
                entry["yanked"] = file.yanked
            files.append(entry)
        return json.dumps({"meta": {"api-version": "1.1"}, "name": "tiny-thing", "files": files})

    def _html(self):
        lines = []
        for file in self.files.values():
            more = f' data-core-metadata="sha256={sha256(file.metadata)}"' if file.metadata else ""
            more += f' data-yanked="{file.yanked}"' if file.yanked else ""
            lines.append(f'<a href="{file.url}#sha256={sha256(file.data)}"{more}>{file.name}</a><br>')
        return "<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>"

    @property
    def wheel(self):
        return next(file for file in self.files.values() if file.name.endswith("-1.0-py3-none-any.whl"))


# -- pip --

class Pip:
    """A pip with a home of its own, whose only index is the edge."""

    def __init__(self, folder, edge):
        self._folder, self._edge = folder, edge
        self._env = {name: value for name, value in os.environ.items()
                     if not name.startswith(("PIP_", "SSL_CERT_")) and
                     not name.upper().endswith(("_PROXY", "_CA_BUNDLE"))}
        self._env.update(HOME=str(folder), PIP_CONFIG_FILE="/dev/null", PIP_DISABLE_PIP_VERSION_CHECK="1")

    def run(self, *words):
        return subprocess.run([PIP, *words], cwd=self._folder, env=self._env, capture_output=True, text=True,
                              check=False, timeout=120, stdin=subprocess.DEVNULL)

    def version(self):
        return self.run("--version").stdout

    def download(self, name, requirement, *digests):
        """What came into a fresh folder: {file: bytes}; or what pip said when it failed."""
        into = self._folder / name
        into.mkdir()
        hashes = "".join(f" --hash=sha256:{digest}" for digest in digests)
        (into / "wanted").write_text(f"{requirement}{hashes}\n")
        options = ["--require-hashes"] if digests else []
        done = self.run("download", "--no-deps", *options, "--no-cache-dir", "--retries", "0", "--index-url",
                        self._edge.url("/pypi/simple/"), "--cert", self._edge.ca, "--dest", str(into), "--requirement",
                        str(into / "wanted"))
        if done.returncode != 0:
            return done.stdout + done.stderr
        (into / "wanted").unlink()
        return {path.name: path.read_bytes() for path in into.iterdir()}

    def download_file(self, name, file):
        got = self.download(name, f"tiny-thing=={version_of(file)}", sha256(file.data))
        assert got == {file.name: file.data}, got


def version_of(file):
    return file.name.split("-")[1].removesuffix(".tar.gz")


@pytest.fixture
def make_pypi(make_edge, tmp_path):
    """make_pypi(index, text): an edge in front of the index, and a pip."""
    def make(index, text="proxy_cache_valid 200 1h;"):
        edge = make_edge("location /pypi/ { repository wheels; }",
                         http=f"repository wheels {{ format pypi; proxy_pass {index.origin.url}; {text} }}")
        edge.write_conf(locations=f"location /pypi/ {{ repository wheels; public_url {edge.url('/pypi')}; }}")
        edge.start()
        return edge, Pip(tmp_path, edge)

    return make


@pytest.fixture
def other():
    origin = Origin()
    yield origin
    origin.close()


def asked(origin, path):
    return len(origin.gets(path))


def page_files(edge):
    page = json.loads(edge.fetch("/pypi" + PAGE, fields={"Accept": JSON}).body)
    return {file["filename"]: file for file in page["files"]}


# -- downloads --

@pytest.mark.parametrize("forms", [("json", "html"), ("html",)], ids=["json", "html"])
def test_pip_downloads_a_wheel_and_an_sdist_and_again_with_the_index_dead(make_pypi, origin, forms):
    index = Index(origin, forms=forms)
    edge, pip = make_pypi(index)
    print(pip.version())
    for i, file in enumerate(index.files.values()):
        pip.download_file(f"cold{i}", file)
    edge.wait_idle()
    for path in (PAGE, *(file.url for file in index.files.values())):
        assert asked(origin, path) == 1, origin.summary()
    origin.kill()
    for i, file in enumerate(index.files.values()):
        pip.download_file(f"dead{i}", file)


def test_both_forms_of_a_page_name_files_of_the_edge(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    for _ in range(2):
        html = edge.fetch("/pypi" + PAGE, fields={"Accept": "text/html"})
        assert (html.status, html.fields["content-type"]) == (200, "text/html")
        page = edge.fetch("/pypi" + PAGE, fields={"Accept": JSON})
        assert (page.status, page.fields["content-type"]) == (200, JSON)
        found = {file["filename"]: file["url"] for file in json.loads(page.body)["files"]}
        for name, file in index.files.items():
            url = edge.url(f"/pypi/files/tiny-thing/{name}")
            assert found[name] == url
            assert f'{url}#sha256={sha256(file.data)}' in html.body.decode()
        edge.wait_idle()
        origin.kill()


def test_a_corrupted_wheel_is_refused_and_the_right_one_taken_then(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index)
    wheel, resource = index.wheel, origin.resources[index.wheel.url]
    resource.data = wheel.data[:200] + b"?" + wheel.data[201:]
    resource.etag = '"bad"'
    said = pip.download("bad", "tiny-thing==1.0", sha256(wheel.data))
    assert isinstance(said, str) and "ERROR" in said, said
    got = edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}")
    assert got.body != resource.data and (got.status == 502 or not got.complete)
    edge.wait_idle()
    resource.data, resource.etag = wheel.data, '"good"'
    edge.reload()
    pip.download_file("good", wheel)


# -- other hosts --

def test_files_of_a_host_that_is_allowed(make_pypi, origin, other):
    index = Index(origin, other)
    edge, pip = make_pypi(index, f"proxy_cache_valid 200 1h; file_hosts 127.0.0.1:{other.port};")
    pip.download_file("cold", index.wheel)
    edge.wait_idle()
    assert [request.target for request in other.requests] == [f"/packages/{index.wheel.name}"]
    other.kill()
    origin.kill()
    assert edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}").body == index.wheel.data


def test_files_of_a_host_that_is_not_allowed(make_pypi, origin, other):
    index = Index(origin, other)
    edge, pip = make_pypi(index)
    said = pip.download("refused", "tiny-thing==1.0", sha256(index.wheel.data))
    assert isinstance(said, str), said
    got = edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}")
    assert got.status == 502 and "file_hosts" in json.loads(got.body)["detail"]
    assert other.requests == []


# -- parts and metadata --

def test_metadata_is_had_without_the_wheel(make_pypi, origin):
    """PEP 658."""
    index = Index(origin)
    edge, _ = make_pypi(index)
    url = page_files(edge)[index.wheel.name]["url"]
    assert url == edge.url(f"/pypi/files/tiny-thing/{index.wheel.name}")
    path = f"/pypi/files/tiny-thing/{index.wheel.name}"
    for _ in range(2):
        got = edge.fetch(path + ".metadata")
        assert (got.status, got.body) == (200, index.wheel.metadata)
        edge.wait_idle()
        assert asked(origin, index.wheel.url) == 0
        origin.kill()
    origin.restart()
    assert edge.fetch("/pypi/files/tiny-thing/tiny_thing-1.1.tar.gz.metadata").status == 404


def test_metadata_of_another_hash_is_refused(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    origin.resources[index.wheel.url + ".metadata"].data = b"Name: other\n"
    got = edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}.metadata")
    assert b"Name: other" not in got.body and (got.status == 502 or not got.complete)


def test_the_directory_of_a_wheel_is_read_by_ranges(make_pypi, origin):
    index = Index(origin)
    data, metadata = make_wheel("3.0", size=4 << 20)
    large = File("tiny_thing-3.0-py3-none-any.whl", data, metadata)
    index.add(large)
    edge, _ = make_pypi(index)
    path = f"/pypi/files/tiny-thing/{large.name}"
    assert int(edge.fetch(path, method="HEAD").fields["content-length"]) == len(data)
    for text, part in (("bytes=-1000", data[-1000:]), ("bytes=0-99", data[:100]), ("bytes=5000000-", data[5000000:])):
        got = edge.fetch(path, fields={"Range": text})
        assert (got.status, got.body) == (206, part), text
    edge.wait_idle()
    assert edge.fetch(path).body == data
    edge.wait_idle()
    origin.kill()
    got = edge.fetch(path, fields={"Range": "bytes=-10"})
    assert (got.status, got.body) == (206, data[-10:])


# -- what changes --

def test_a_new_version_is_seen_after_the_lifetime_of_the_page_and_not_before(make_pypi, origin):
    index = Index(origin)
    long_edge, _ = make_pypi(index)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    known = sorted(index.files)
    assert sorted(page_files(edge)) == sorted(page_files(long_edge)) == known
    wheel, metadata = make_wheel("2.0")
    newer = File("tiny_thing-2.0-py3-none-any.whl", wheel, metadata)
    index.add(newer)
    wait_until(lambda: newer.name in page_files(edge), "the new version to be seen")
    pip.download_file("newer", newer)
    assert sorted(page_files(long_edge)) == known


def test_a_yanked_version_is_passed_over_but_served_by_name(make_pypi, origin):
    index = Index(origin)
    wheel, metadata = make_wheel("2.0")
    bad = File("tiny_thing-2.0-py3-none-any.whl", wheel, metadata)
    index.add(bad)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    assert pip.download("before", "tiny-thing") == {bad.name: bad.data}
    bad.yanked = "it breaks"
    index.publish()
    wait_until(lambda: page_files(edge)[bad.name].get("yanked") == "it breaks", "the yanked version to be seen")
    assert 'data-yanked="it breaks"' in edge.fetch("/pypi" + PAGE).body.decode()
    got = pip.download("after", "tiny-thing")
    assert list(got) == ["tiny_thing-1.1.tar.gz"], got
    pip.download_file("by version", bad)


def test_a_removed_file_is_served_where_it_is_stored(make_pypi, origin):
    """What a lock file names must not vanish."""
    index = Index(origin)
    edge, _ = make_pypi(index, "proxy_cache_valid 200 1s;")
    wheel, sdist = index.wheel, index.files["tiny_thing-1.1.tar.gz"]
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    edge.wait_idle()
    index.remove(wheel.name)
    index.remove(sdist.name)
    wait_until(lambda: page_files(edge) == {}, "the removal to be seen")
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    got = edge.fetch(f"/pypi/files/tiny-thing/{sdist.name}")
    assert (got.status, json.loads(got.body)["error"]) == (404, "not-found")
    del origin.resources[PAGE]
    wait_until(lambda: edge.fetch("/pypi" + PAGE).status == 404, "the project to be gone")
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    assert edge.fetch(f"/pypi/files/tiny-thing/{sdist.name}").status == 404
    origin.kill()
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data


def test_a_replaced_file_is_taken_anew_where_the_page_says_so(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    wheel = index.wheel
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    edge.wait_idle()
    data, metadata = make_wheel("1.0", size=2000)
    index.add(File(wheel.name, data, metadata))
    origin.resources[wheel.url].etag = '"v2"'
    wait_until(lambda: page_files(edge)[wheel.name]["hashes"]["sha256"] == sha256(data), "the new page")
    pip.download_file("after", index.wheel)


# -- troubles --

def test_without_index_and_storage_nothing_is_said_to_be_absent(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    origin.kill()
    for path in (PAGE, f"/files/tiny-thing/{index.wheel.name}"):
        assert edge.fetch("/pypi" + path).status == 502, path


def test_an_index_in_trouble_breaks_nothing_that_is_stored(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    assert edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}").body == index.wheel.data
    edge.wait_idle()
    for status in (503, 429):
        before = asked(origin, PAGE)
        origin.resources[PAGE].tamper = lambda answer, request, n, status=status: Answer(status, {}, b"not now\n")
        wait_until(lambda: page_files(edge) and asked(origin, PAGE) > before, "the page to be validated")
        pip.download_file(f"after {status}", index.wheel)


def test_a_malformed_page_is_told_apart_from_an_absent_one(make_pypi, origin):
    edge, _ = make_pypi(Index(origin))
    origin.add(PAGE, b"{", fields={"Content-Type": JSON})
    got = edge.fetch("/pypi" + PAGE, fields={"Accept": JSON})
    assert (got.status, json.loads(got.body)["error"]) == (502, "malformed-index")
    got = edge.fetch("/pypi/simple/nothing/", fields={"Accept": JSON})
    assert (got.status, json.loads(got.body)["error"]) == (404, "not-found")


def test_other_spellings_of_a_project_lead_to_its_page(make_pypi, origin):
    edge, _ = make_pypi(Index(origin))
    got = edge.fetch("/pypi/simple/Tiny_Thing/")
    assert (got.status, got.fields["location"]) == (301, edge.url("/pypi" + PAGE))
