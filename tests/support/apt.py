"""apt and what it installs from: packages and signed repositories made here, and apt-get that knows nothing of
this machine."""
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time

SUITE = "dists/stable"
LISTS = "main/binary-amd64"


def run(command, cwd=None, env=None, check=True):
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0 or not check, \
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout if check else (done.returncode, done.stdout + done.stderr)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Apt:
    """apt-get with its own sources, lists, archives, configuration and root. `source`: the line behind "deb"."""

    def __init__(self, folder, source, ca=None, installed=()):
        self.folder = folder
        self.root = folder / "root"
        for name in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial", "log",
                     "root/var/lib/dpkg/info", "root/var/lib/dpkg/updates", "root/var/lib/dpkg/triggers"):
            (folder / name).mkdir(parents=True)
        status = self.root / "var/lib/dpkg/status"
        status.write_text("".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: 99\nArchitecture: amd64\n"
            f"Maintainer: nobody\nDescription: none\n\n" for name in installed))
        (folder / "etc" / "sources.list").write_text(f"deb {source}\n")
        conf = [f'Dir "{folder}";', f'Dir::Etc "{folder}/etc";', f'Dir::State "{folder}/state";',
                f'Dir::State::status "{status}";', f'Dir::Cache "{folder}/cache";', f'Dir::Log "{folder}/log";',
                'Dir::Etc::parts "/dev/null";', 'Dir::Etc::sourceparts "/dev/null";',
                'Dir::Bin::dpkg "/usr/bin/dpkg";', f'DPkg::Options {{ "--root={self.root}"; "--force-unsafe-io"; '
                '"--log=/dev/null"; };', 'DPkg::Path "/usr/sbin:/usr/bin:/sbin:/bin";',
                'APT::Sandbox::User "root";', 'APT::Architecture "amd64";', 'Acquire::Languages "none";',
                'Acquire::Retries "0";', 'Acquire::http::Proxy "DIRECT";', 'Acquire::https::Proxy "DIRECT";']
        if ca:
            conf.append(f'Acquire::https::CaInfo "{ca}";')
        (folder / "etc" / "conf").write_text("\n".join(conf) + "\n")

    def attempt(self, *words):
        """(exit code, everything that it said)."""
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        env |= {"APT_CONFIG": str(self.folder / "etc" / "conf"), "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        return run(["/usr/bin/apt-get", *words], cwd=self.folder, env=env, check=False)

    def __call__(self, *words, unsigned=False):
        code, out = self.attempt(*words)
        assert code == 0, f"apt-get {' '.join(words)} ended with {code}:\n{out}"
        ignored = re.findall(r"^Ign:\d+ \S+ stable (\S+)", out, re.M)
        allowed = {"InRelease", "Release.gpg"} if unsigned else set()
        assert "Err:" not in out and set(ignored) <= allowed, out
        return out

    def downloaded(self):
        return {path.name: sha256(path.read_bytes()) for path in self.folder.glob("*.deb")}


class Key:
    """A key that signs a repository, in a home of its own."""

    def __init__(self):
        self._home = tempfile.mkdtemp(prefix="entrepot-gpg-")  # short: the agent's socket stands in it
        self._gpg("--quick-generate-key", "Test <test@example.com>", "ed25519", "sign", "never")
        self.public = os.path.join(self._home, "public.gpg")
        self._gpg("--output", self.public, "--export")

    def _gpg(self, *words):
        run(["/usr/bin/gpg", "--homedir", self._home, "--batch", "--yes", "--passphrase", "", *words])

    def sign(self, text, folder, apart=False):
        """Writes InRelease; or Release, and its signature apart."""
        plain = folder / "Release"
        plain.write_text(text)
        if apart:
            self._gpg("--armor", "--output", str(folder / "Release.gpg"), "--detach-sign", str(plain))
            return
        self._gpg("--digest-algo", "SHA256", "--output", str(folder / "InRelease"), "--clear-sign", str(plain))
        plain.unlink()

    def close(self):
        run(["/usr/bin/gpgconf", "--homedir", self._home, "--kill", "all"])
        shutil.rmtree(self._home, ignore_errors=True)


def make_package(folder, name, version, payload):
    """A .deb whose only file is /usr/share/<name>/payload."""
    tree = folder / f"{name}-{version}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share" / name).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
                                         "Maintainer: nobody\nDescription: none\n")
    (tree / "usr/share" / name / "payload").write_bytes(payload)
    path = folder / f"{name}_{version}_amd64.deb"
    run(["dpkg-deb", "--build", "-Znone", "--root-owner-group", str(tree), str(path)])
    shutil.rmtree(tree)
    return path


class Repository:
    """A folder `served` that is one generation of a repository after the other, switched at once.

    It lies below "debian", as distributions do: http://host/debian/dists/...
    Generations are a minute apart by their files' times: nginx's ETag is a file's time in seconds and its length, and
    two InRelease made within a second are often equally long.
    """

    def __init__(self, folder, key, by_hash=True, apart=False):
        self.folder, self.key, self.by_hash, self.apart = folder, key, by_hash, apart
        self.served = folder / "served"
        self.generation = 0
        self.started = int(time.time()) - 24 * 3600
        self.pool = folder / "pool"
        self.pool.mkdir(parents=True)

    def publish(self):
        """What is in `pool` now, signed; lists of older generations stay by their digests."""
        before = self.root() if self.generation else None
        self.generation += 1
        root = self.folder / f"generation{self.generation}" / "debian"
        suite, lists = root / SUITE, root / SUITE / LISTS
        if before and self.by_hash:
            shutil.copytree(before / SUITE / LISTS / "by-hash", lists / "by-hash")
        lists.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.pool, root / "pool")
        packages = run(["dpkg-scanpackages", "--multiversion", "pool"], cwd=root).encode()
        lines = [f" {sha256(packages)} {len(packages)} {LISTS}/Packages"]
        for ending, data in ((".gz", gzip.compress(packages, mtime=0)), (".xz", lzma.compress(packages))):
            (lists / f"Packages{ending}").write_bytes(data)
            lines.append(f" {sha256(data)} {len(data)} {LISTS}/Packages{ending}")
            if self.by_hash:
                by_hash = lists / "by-hash/SHA256" / sha256(data)
                by_hash.parent.mkdir(parents=True, exist_ok=True)
                by_hash.write_bytes(data)
        text = ("Origin: Test\nSuite: stable\nCodename: stable\nArchitectures: amd64\nComponents: main\n"
                f"Date: Sat, 01 Jun 2024 10:00:{self.generation:02} UTC\n"
                f"Acquire-By-Hash: {'yes' if self.by_hash else 'no'}\nSHA256:\n" + "\n".join(lines) + "\n")
        self.key.sign(text, suite, self.apart)
        for path in filter(os.path.isfile, suite.rglob("*")):
            os.utime(path, (self.started + 60 * self.generation,) * 2)
        switch = self.folder / "switch"
        switch.symlink_to(root.parent.name)
        os.replace(switch, self.served)

    def root(self):
        return (self.served / "debian").resolve()


def publish_flat(folder, key, package):
    """A repository without dists: its lists, its package and InRelease are in `folder`."""
    folder.mkdir()
    shutil.copy(package, folder)
    packages = run(["dpkg-scanpackages", "."], cwd=folder).encode()
    (folder / "Packages").write_bytes(packages)
    key.sign(f"Suite: stable\nDate: Sat, 01 Jun 2024 10:00:00 UTC\nSHA256:\n {sha256(packages)} {len(packages)} "
             "Packages\n", folder)
