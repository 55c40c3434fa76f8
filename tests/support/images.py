"""Images of containers, made by hand, and skopeo, which pushes and pulls them."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

from support.origin import made_bytes

IMAGE = "team/image"
LAYER_SIZES = (300, 3 << 20, 24 << 20)  # smaller than a chunk, several slices, many
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI image layout made by hand: the layers are gzipped tars of one file each, of random bytes.

    Of several architectures it holds an image each, of layers of their own, and an index of them.
    `manifest_digest`: of what the tag is, the one image or the index.
    """

    def __init__(self, folder, architectures=("amd64",), sizes=LAYER_SIZES, seed=0):
        self.folder = folder
        self.blobs = {}
        self.files = {}  # what the tars hold: their digests, by architecture and name
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        self.images = [self._add_image(name, sizes, seed + 100 * i) for i, name in enumerate(architectures)]
        top = self.images[0]
        if len(self.images) > 1:
            top = self._add_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.images}, OCI_INDEX)
        self.manifest_digest = top["digest"]
        tagged = {**top, "annotations": {"org.opencontainers.image.ref.name": "1.0"}}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [tagged]}))

    def manifest_digests(self):
        return {self.manifest_digest, *(image["digest"] for image in self.images)}

    def _add_image(self, architecture, sizes, seed):
        datas = {f"file{i}": made_bytes(size, seed=seed + i) for i, size in enumerate(sizes)}
        self.files[architecture] = {name: digest_of(data) for name, data in datas.items()}
        tars = [make_tar(name, data) for name, data in datas.items()]
        layers = [self._add(gzip.compress(tar, 1, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
                  for tar in tars]
        config = self._add_json({"architecture": architecture, "os": "linux", "config": {},
                                 "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]}},
                                "application/vnd.oci.image.config.v1+json")
        image = self._add_json({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
                                "layers": layers}, OCI_MANIFEST)
        return {**image, "platform": {"architecture": architecture, "os": "linux"}}

    def _add(self, data, kind):
        digest = digest_of(data)
        self.blobs[digest] = data
        (self.folder / "blobs" / "sha256" / digest.split(":")[1]).write_bytes(data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    def _add_json(self, value, kind):
        return self._add(json.dumps(value).encode(), kind)


def make_tar(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def run_tool(program, folder, *words):
    """Runs it with a home of its own: what an earlier run learnt about blobs must not help it."""
    assert shutil.which(program), f"{program} is not installed"
    env = {name: value for name, value in os.environ.items()
           if not name.lower().endswith("_proxy") and not name.startswith("SSL_CERT_")}
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300,
                          stdin=subprocess.DEVNULL, env={**env, "HOME": str(folder)})
    assert done.returncode == 0, f"{program} {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def skopeo(folder, *words):
    return run_tool("skopeo", folder, "--insecure-policy", *words)


def push(layout, registry, folder, tag="1.0", image=IMAGE, options=("--all",)):
    skopeo(folder, "copy", *options, "--dest-tls-verify=false", f"oci:{layout.folder}:1.0",
           f"docker://127.0.0.1:{registry.port}/{image}:{tag}")


def pull(edge, authorities, folder, tag="1.0", kind="oci", reference=None, options=(), image=IMAGE):
    """Copies the image into a fresh folder; the folder."""
    folder.mkdir()
    source = f"docker://localhost:{edge.tls_port}/{image}{reference or ':' + tag}"
    to = f"oci:{folder}/image:1.0" if kind == "oci" else f"dir:{folder}/image"
    skopeo(folder, "copy", "--src-cert-dir", str(authorities), "--preserve-digests", *options, source, to)
    return folder / "image"


def buildah_pull(folder, edge, authorities, reference, architecture="amd64", image=IMAGE):
    """Pulls into a store of its own in the folder: (the image's id, {file in its layers: digest})."""
    folder.mkdir()
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    said = run_tool("buildah", folder, "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--storage-driver",
                    "vfs", "pull", "--quiet", "--arch", architecture, "--signature-policy", str(policy), "--cert-dir",
                    str(authorities), f"docker://localhost:{edge.tls_port}/{image}{reference}")
    files = {path.name: digest_of(path.read_bytes()) for path in (folder / "root/vfs/dir").glob("*/file*")}
    return said.split()[-1], files


def assert_whole(layout, pulled):
    """Each blob of the layout is there, byte for byte, and nothing else."""
    found = {f"sha256:{path.name}": path.read_bytes() for path in (pulled / "blobs" / "sha256").iterdir()}
    assert sorted(found) == sorted(layout.blobs)
    for digest, data in found.items():
        assert digest_of(data) == digest
    index = json.loads((pulled / "index.json").read_text())
    assert [manifest["digest"] for manifest in index["manifests"]] == [layout.manifest_digest]
