"""pip as a client, with nothing of this machine's, and an index of one project for it on a scripted origin."""
import base64
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile

from support.origin import Answer, made_bytes

PIP = "/usr/bin/pip3"
JSON = "application/vnd.pypi.simple.v1+json"
PAGE = "/simple/tiny-thing/"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_wheel(version, size=1000, requires=""):
    """A wheel of one module of random bytes; and its metadata."""
    metadata = f"Metadata-Version: 2.1\nName: tiny-thing\nVersion: {version}\n".encode()
    if requires:
        metadata += f"Requires-Dist: {requires}\n".encode()
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
            more = "".join(f' data-{name}="sha256={sha256(file.metadata)}"' for name in
                           ("dist-info-metadata", "core-metadata") if file.metadata)  # older clients know the first
            more += f' data-yanked="{file.yanked}"' if file.yanked else ""
            lines.append(f'<a href="{file.url}#sha256={sha256(file.data)}"{more}>{file.name}</a><br>')
        return "<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>"

    @property
    def wheel(self):
        return next(file for file in self.files.values() if file.name.endswith("-1.0-py3-none-any.whl"))


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
                              check=False, timeout=300, stdin=subprocess.DEVNULL)

    def download(self, name, requirement, *digests, options=("--no-deps",)):
        """What came into a fresh folder: {file: bytes}; or what pip said when it failed."""
        into = self._folder / name
        into.mkdir()
        wanted = "".join(f" --hash=sha256:{digest}" for digest in digests)
        (into / "wanted").write_text(f"{requirement}{wanted}\n")
        hashes = ["--require-hashes"] if digests else []
        done = self.run("download", *options, *hashes, "--no-cache-dir", "--retries", "0", "--timeout", "60",
                        "--index-url", self._edge.url("/pypi/simple/"), "--cert", self._edge.ca, "--dest", str(into),
                        "--requirement", str(into / "wanted"))
        if done.returncode != 0:
            return done.stdout + done.stderr
        (into / "wanted").unlink()
        return {path.name: path.read_bytes() for path in into.iterdir()}

    def download_file(self, name, file):
        got = self.download(name, f"tiny-thing=={version_of(file)}", sha256(file.data))
        assert got == {file.name: file.data}, got


def version_of(file):
    return file.name.split("-")[1].removesuffix(".tar.gz")
