"""mvn and curl on a Maven repository behind Debian's nginx, through the edge; then with nginx dead, damaged, or with
new versions. mvn checks every checksum (-C) and needs no plugin for `validate`: poms come as parents and imports,
jars as build extensions."""
import collections
import hashlib
import io
import os
import re
import shutil
import subprocess
import zipfile

import pytest

from support.daemons import Nginx
from support.edge import wait_until
from support.origin import made_bytes

PROGRAMS = ("mvn", "curl", "nginx")

DEBIAN = "/usr/share/maven-repo"  # poms and jars of Debian's own packages: what mvn itself is made of
GROUP = "org/example"
MUTABLE_HIT = 'entrepot; hit; detail="mutable"'
SIDECARS = ("md5", "sha1", "sha256", "sha512")
BUILDS = ("20240101.120000-1", "20240102.120000-2")


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL,
                          **options)


def project(artifact, version, more="", packaging="jar"):
    return ("<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>"
            f"<artifactId>{artifact}</artifactId><version>{version}</version><packaging>{packaging}</packaging>"
            f"{more}</project>").encode()


def jar(seed):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("content", made_bytes(300_000, seed=seed))
    return data.getvalue()


# So that Maven does not add a dependency of its own choice to an extension.
UTILS = ("<dependencies><dependency><groupId>org.codehaus.plexus</groupId><artifactId>plexus-utils</artifactId>"
         "<version>2.x</version></dependency></dependencies>")
APACHE = ("<parent><groupId>org.apache</groupId><artifactId>apache</artifactId><version>debian</version></parent>")


class Repository:
    """A folder in Maven's layout, with a .sha1 beside each file."""

    def __init__(self, root):
        self.root, self.seconds = root, 1_700_000_000
        for name in ("org/codehaus/plexus/plexus-utils/2.x", "org/apache/apache/debian"):
            shutil.copytree(os.path.join(DEBIAN, name), root / name)  # what its links point at
        for path in [path for path in root.rglob("*") if path.is_file()]:
            self.put(str(path.relative_to(root)), path.read_bytes())
        self.put(f"{GROUP}/parent/1/parent-1.pom", project("parent", "1", packaging="pom"))
        self.put(f"{GROUP}/bom/1/bom-1.pom", project("bom", "1", packaging="pom", more=APACHE))
        self.tools, self.builds = [], []
        self.release("1.0")
        self.build(BUILDS[0])

    def put(self, name, data):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.seconds += 1  # nginx makes its validator of the second and the size: each content has its own
        os.utime(path, (self.seconds, self.seconds))
        path.with_name(path.name + ".sha1").write_text(hashlib.sha1(data).hexdigest())

    def read(self, name):
        return (self.root / name).read_bytes()

    def release(self, version):
        self.put(f"{GROUP}/tool/{version}/tool-{version}.pom", project("tool", version, UTILS))
        self.put(f"{GROUP}/tool/{version}/tool-{version}.jar", jar(version))
        self.tools.append(version)
        versions = "".join(f"<version>{version}</version>" for version in self.tools)
        self.put(f"{GROUP}/tool/maven-metadata.xml",
                 f"<metadata><groupId>org.example</groupId><artifactId>tool</artifactId><versioning><versions>{versions}"
                 "</versions></versioning></metadata>".encode())

    def build(self, name):
        """A build of next, version 2.0-SNAPSHOT."""
        folder = f"{GROUP}/next/2.0-SNAPSHOT"
        self.put(f"{folder}/next-2.0-{name}.pom", project("next", "2.0-SNAPSHOT", UTILS))
        self.put(f"{folder}/next-2.0-{name}.jar", jar(name))
        timestamp, number = name.split("-")
        updated = timestamp.replace(".", "")
        versions = "".join(f"<snapshotVersion><extension>{extension}</extension><value>2.0-{name}</value>"
                           f"<updated>{updated}</updated></snapshotVersion>" for extension in ("jar", "pom"))
        self.put(f"{folder}/maven-metadata.xml",
                 "<metadata modelVersion=\"1.1.0\"><groupId>org.example</groupId><artifactId>next</artifactId>"
                 f"<version>2.0-SNAPSHOT</version><versioning><snapshot><timestamp>{timestamp}</timestamp>"
                 f"<buildNumber>{number}</buildNumber></snapshot><lastUpdated>{updated}</lastUpdated>"
                 f"<snapshotVersions>{versions}</snapshotVersions></versioning></metadata>".encode())


class Maven:
    """mvn with its own settings and local repository; everything it has comes from `url`."""

    def __init__(self, folder, url, ca=None):
        self.folder, self.local = folder, folder / "local"
        folder.mkdir()
        policy = "<enabled>true</enabled><updatePolicy>always</updatePolicy>"
        kinds = "".join(f"<{kind}ies><{kind}y><id>any</id><url>http://any.invalid</url><releases>{policy}</releases>"
                        f"<snapshots>{policy}</snapshots></{kind}y></{kind}ies>"
                        for kind in ("repositor", "pluginRepositor"))
        (folder / "settings.xml").write_text(
            f"<settings><localRepository>{self.local}</localRepository><mirrors><mirror><id>edge</id>"
            f"<mirrorOf>*</mirrorOf><url>{url}</url></mirror></mirrors><profiles><profile><id>all</id>{kinds}</profile>"
            "</profiles><activeProfiles><activeProfile>all</activeProfile></activeProfiles></settings>")
        coordinates = "<groupId>org.example</groupId><artifactId>{}</artifactId><version>{}</version>"
        extensions = "".join(f"<extension>{coordinates.format(*what)}</extension>"
                             for what in (("tool", "[1.0,)"), ("next", "2.0-SNAPSHOT")))
        (folder / "pom.xml").write_text(
            f"<project><modelVersion>4.0.0</modelVersion><parent>{coordinates.format('parent', '1')}<relativePath/>"
            "</parent><artifactId>mine</artifactId><packaging>pom</packaging><dependencyManagement><dependencies>"
            f"<dependency>{coordinates.format('bom', '1')}<type>pom</type><scope>import</scope></dependency>"
            f"</dependencies></dependencyManagement><build><extensions>{extensions}</extensions></build></project>")
        self.options = "-XX:TieredStopAtLevel=1"
        if ca:
            store = folder / "trusted.p12"
            done = run(["/usr/bin/keytool", "-importcert", "-noprompt", "-alias", "edge", "-file", ca, "-keystore",
                        str(store), "-storetype", "PKCS12", "-storepass", "changeit"])
            assert done.returncode == 0, done.stdout + done.stderr
            self.options += f" -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"

    def validate(self):
        env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = run(["/usr/bin/mvn", "--batch-mode", "--strict-checksums", "--settings", "settings.xml",
                    "--global-settings", "settings.xml", "validate"], cwd=self.folder,
                   env={**env, "MAVEN_OPTS": self.options})
        out = done.stdout + done.stderr
        assert done.returncode == 0 and "checksum" not in out.lower(), out

    def has(self):
        """Path -> content, of what it fetched."""
        return {str(path.relative_to(self.local)): path.read_bytes() for path in self.local.rglob("*")
                if path.suffix in (".pom", ".jar")}


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


@pytest.fixture
def nginx(tmp_path, repository):
    nginx = Nginx(tmp_path / "nginx", repository.root).start()
    yield nginx
    nginx.kill()


@pytest.fixture
def edge_for(make_edge, nginx):
    def make(lifetime):
        return make_edge("location /maven/ { repository artifacts; }",
                         http=f"repository artifacts {{ format maven; proxy_pass {nginx.url}; proxy_cache edge; "
                              f"proxy_cache_valid 200 404 {lifetime}; }}").start()

    return make


@pytest.fixture
def edge(edge_for):
    return edge_for("1h")


def targets(nginx):
    return collections.Counter(target for _, target, _, _ in nginx.requests())


def get(edge, name, **options):
    return edge.fetch(f"/maven/{name}", **options)


def assert_same(maven, repository, tool, build):
    has = maven.has()
    folder = f"{GROUP}/next/2.0-SNAPSHOT"
    for ending in ("pom", "jar"):
        assert has.pop(f"{folder}/next-2.0-SNAPSHOT.{ending}") == repository.read(f"{folder}/next-2.0-{build}.{ending}")
    assert f"{GROUP}/tool/{tool}/tool-{tool}.jar" in has and f"{GROUP}/bom/1/bom-1.pom" in has
    assert "org/apache/apache/debian/apache-debian.pom" in has
    assert any("plexus-utils" in name and name.endswith(".jar") for name in has)
    for name, data in has.items():
        assert data == repository.read(name), name


def test_mvn_builds_through_the_edge_and_again_with_the_upstream_dead(edge, nginx, repository, tmp_path):
    first = Maven(tmp_path / "first", edge.url("/maven"), edge.ca)
    first.validate()
    assert_same(first, repository, "1.0", BUILDS[0])
    edge.wait_idle()
    asked = targets(nginx)
    assert set(asked.values()) == {1}, asked
    assert not any(re.search(r"\.md5|maven-metadata.xml\.", target) for target in asked), asked
    nginx.kill()
    second = Maven(tmp_path / "second", edge.url("/maven", tls=False))
    second.validate()
    assert second.has() == first.has()


def test_mvn_sees_a_new_release_and_a_new_build_after_the_lifetime(edge_for, edge, nginx, repository, tmp_path):
    brief = edge_for("1s")
    metadata = [f"{GROUP}/tool/maven-metadata.xml", f"{GROUP}/next/2.0-SNAPSHOT/maven-metadata.xml"]
    before = {name: get(edge, name).body for name in metadata}
    for name in metadata:
        assert get(brief, name).body == before[name]
    repository.release("1.10")
    repository.release("1.9")
    repository.build(BUILDS[1])
    for name in metadata:
        assert get(edge, name).body == before[name]
        wait_until(lambda name=name: get(brief, name).body == repository.read(name), f"the new {name}")
        for ending in SIDECARS:  # the pair never disagrees
            digest = hashlib.new(ending, repository.read(name)).hexdigest()
            assert get(brief, f"{name}.{ending}").body.decode() == digest
            assert get(edge, f"{name}.{ending}").body.decode() == hashlib.new(ending, before[name]).hexdigest()
    maven = Maven(tmp_path / "maven", brief.url("/maven", tls=False))
    maven.validate()
    assert_same(maven, repository, "1.10", BUILDS[1])
    nginx.kill()
    assert get(brief, metadata[0]).body == repository.read(metadata[0])


def test_sidecars_are_made_here_of_what_is_served(edge, nginx, repository):
    build = f"{GROUP}/next/2.0-SNAPSHOT/next-2.0-{BUILDS[0]}"
    names = {f"{GROUP}/tool/1.0/tool-1.0.pom": None, f"{GROUP}/tool/1.0/tool-1.0.jar": None,
             f"{GROUP}/tool/maven-metadata.xml": None, f"{build}.jar": None,
             f"{GROUP}/next/2.0-SNAPSHOT/next-2.0-SNAPSHOT.jar": f"{build}.jar"}
    for _ in range(2):
        for name, stored_as in names.items():
            for ending in SIDECARS:  # before their file is asked for
                got = get(edge, f"{name}.{ending}")
                expected = hashlib.new(ending, repository.read(stored_as or name)).hexdigest()
                assert (got.status, got.body.decode()) == (200, expected), (name, ending)
                assert got.fields["content-type"] == "text/plain"
            assert get(edge, name).body == repository.read(stored_as or name)
        edge.wait_idle()
        nginx.kill()
    asked = targets(nginx)
    assert set(asked.values()) == {1}, asked
    assert not any(target.endswith((".md5", ".sha256", ".sha512")) for target in asked), asked
    assert sum(target.endswith(".sha1") for target in asked) == 3, asked  # pom, jar, build


@pytest.mark.parametrize("first", ["", ".sha256"], ids=["jar", "sidecar"])
def test_a_jar_that_its_checksum_refuses_is_not_served(edge_for, nginx, repository, first):
    edge = edge_for("1s")
    name = f"{GROUP}/tool/1.0/tool-1.0.jar"
    good = repository.read(name)
    (repository.root / name).write_bytes(good[:-4] + b"evil")
    for asked in (name + first, name, name + ".sha1"):
        got = get(edge, asked)
        assert got.status == 502 or not got.complete, asked
        edge.wait_idle()
    (repository.root / name).write_bytes(good)
    edge.reload()
    assert get(edge, name).body == good
    assert nginx.alive()


def test_a_version_keeps_its_bytes(edge_for, nginx, repository):
    edge = edge_for("1s")
    name = f"{GROUP}/tool/1.0/tool-1.0.jar"
    good = get(edge, name).body
    edge.wait_idle()
    repository.put(name, jar("another"))
    wait_until(lambda: get(edge, f"{GROUP}/tool/maven-metadata.xml").cache_status != MUTABLE_HIT
               and len(nginx.requests()) > 3, "the lifetime's end")
    assert get(edge, name).body == good
    assert get(edge, f"{name}.sha1").body.decode() == hashlib.sha1(good).hexdigest()
    assert targets(nginx)[f"/{name}"] == 1


def test_tokens_stand_for_what_the_metadata_says(edge_for, nginx, repository):
    edge = edge_for("1s")
    tokens = [f"{GROUP}/tool/{token}/tool-{token}.jar" for token in ("%5BRELEASE%5D", "LATEST", "%5BINTEGRATION%5D")]
    snapshot = f"{GROUP}/next/2.0-SNAPSHOT/next-2.0-SNAPSHOT.jar"

    def assert_answers(version, build):
        wanted = {token: f"{GROUP}/tool/{version}/tool-{version}.jar" for token in tokens}
        wanted[snapshot] = f"{GROUP}/next/2.0-SNAPSHOT/next-2.0-{build}.jar"
        for token, name in wanted.items():
            wait_until(lambda token=token, name=name: get(edge, token).body == repository.read(name), token)
            assert get(edge, token).fields["x-artifactory-filename"] == os.path.basename(name)
            assert get(edge, f"{token}.sha256").body.decode() == hashlib.sha256(repository.read(name)).hexdigest()

    assert_answers("1.0", BUILDS[0])
    repository.release("1.10")
    repository.release("1.9")
    repository.build(BUILDS[1])
    assert_answers("1.10", BUILDS[1])
    edge.wait_idle()
    nginx.kill()
    assert_answers("1.10", BUILDS[1])


def test_what_is_absent_upstream_is_absent(edge, nginx):
    for name in (f"{GROUP}/tool/9/tool-9.jar", f"{GROUP}/tool/9/tool-9.jar.sha1", f"{GROUP}/none/maven-metadata.xml",
                 f"{GROUP}/none/LATEST/none-LATEST.jar"):
        assert get(edge, name).status == 404, name
    assert nginx.alive()


def test_a_range_of_a_cold_jar_is_of_the_right_bytes(edge, nginx, repository):
    name = f"{GROUP}/tool/1.0/tool-1.0.jar"
    data = repository.read(name)
    got = get(edge, name, fields={"Range": "bytes=1000-1999"})
    assert (got.status, got.body) == (206, data[1000:2000])
    assert get(edge, name).body == data
    assert nginx.alive()
