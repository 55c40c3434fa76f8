"""Upstreams that ask for a certificate: the edge shows its own, to them and to nobody else."""
import ssl
import subprocess

import pytest

from support.edge import make_certificate
from support.origin import Answer, TlsOrigin

MIB = 1 << 20


class GuardedOrigin(TlsOrigin):
    """`shown`: by connection, whether a certificate was shown."""

    def __init__(self, certificate, trusted, required=True):
        self.shown = []
        super().__init__(certificate)
        self.context.load_verify_locations(trusted)
        self.context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    def on_handshake(self, connection):
        self.shown.append(bool(connection.getpeercert()))


@pytest.fixture
def certificates(tmp_path):
    """Of the upstream, and of the edge as its client: (certificate, key) each."""
    return make_certificate(tmp_path, "upstream"), make_certificate(tmp_path, "client")


@pytest.fixture
def guarded(certificates):
    made = []

    def make(**options):
        made.append(GuardedOrigin(certificates[0], certificates[1][0], **options))
        return made[-1]
    yield make
    for origin in made:
        origin.close()


def shows(certificate):
    return f"proxy_ssl_certificate {certificate[0]}; proxy_ssl_certificate_key {certificate[1]};"


def trusts(certificates):
    return f"proxy_ssl_trusted_certificate {certificates[0][0]};"


def test_a_repository_shows_its_certificate(make_edge, guarded, certificates):
    origin = guarded()
    thing = origin.add("/thing", size=MIB)
    edge = make_edge("location / { repository things; }",
                     http=f"repository things {{ format generic; proxy_pass {origin.url}; "
                          f"{trusts(certificates)} {shows(certificates[1])} }}").start()
    assert edge.fetch("/thing").body == thing.data
    assert origin.shown == [True]


def test_a_location_inherits_what_is_shown(make_edge, guarded, certificates):
    origin = guarded()
    thing = origin.add("/thing", size=1000)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}", server=shows(certificates[1]),
                     http=trusts(certificates)).start()
    assert edge.fetch("/thing").body == thing.data


def test_without_one_the_upstream_answers_nothing(make_edge, guarded, certificates):
    origin = guarded()
    origin.add("/thing", size=1000)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; {trusts(certificates)} }}").start()
    assert edge.fetch("/thing").status == 502
    assert origin.requests == []


def test_a_connection_that_was_opened_by_a_certificate_serves_nobody_without_it(make_edge, guarded, certificates):
    origin = guarded()
    thing = origin.add("/thing", size=1000)
    edge = make_edge(f"location /with/ {{ proxy_pass {origin.url}/; {shows(certificates[1])} }}"
                     f"location /without/ {{ proxy_pass {origin.url}/; }}", http=trusts(certificates), workers=1).start()
    assert edge.fetch("/with/thing").body == thing.data
    edge.wait_idle()
    assert edge.fetch("/without/thing?2").status == 502
    assert [r.target for r in origin.requests] == ["/thing"]


def test_another_host_is_shown_none(make_edge, guarded, certificates):
    """Whom a redirect or an index names is not whom the certificate is for."""
    origin, other = guarded(), guarded(required=False)
    origin.add("/thing", size=10).tamper = lambda answer, request, n: Answer(
        302, {"Location": other.url + "/thing-1.tar.gz"}, b"elsewhere\n")
    file = other.add("/thing-1.tar.gz", size=1000)
    href = f"{other.url}/thing-1.tar.gz#sha256={file.sha256}"
    origin.add("/simple/thing/", f'<a href="{href}">thing-1.tar.gz</a>'.encode(),
               fields={"Content-Type": "text/html"})
    text = (f"proxy_pass {origin.url}; file_hosts 127.0.0.1:{other.port}; {trusts(certificates)} "
            f"{shows(certificates[1])}")
    edge = make_edge("location / { repository things; } location /pypi/ { repository wheels; }", workers=1,
                     http=f"repository things {{ format generic; {text} }} repository wheels {{ format pypi; {text} }}"
                     ).start()
    assert edge.fetch("/thing").body == file.data
    edge.wait_idle()
    assert edge.fetch("/pypi/files/thing/thing-1.tar.gz").body == file.data
    assert set(origin.shown) == {True} and set(other.shown) == {False}


# -- what is wrong is said before anything is served --

def wrong(make_edge, text):
    edge = make_edge(f"location / {{ proxy_pass https://127.0.0.1:9; {text} }}")
    done = edge.command("-t")
    assert done.returncode == 1
    return done.stderr


def test_a_certificate_without_its_key(make_edge, certificates):
    said = wrong(make_edge, f"proxy_ssl_certificate {certificates[1][0]};")
    assert 'no "proxy_ssl_certificate_key" is defined for certificate' in said


def test_a_key_of_another_certificate(make_edge, certificates):
    said = wrong(make_edge, shows((certificates[1][0], certificates[0][1])))
    assert "cannot load certificate key" in said and "key values mismatch" in said


def test_a_key_that_is_locked(make_edge, certificates, tmp_path):
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "ec", "-in", certificates[1][1], "-out", locked, "-aes128", "-passout", "pass:secret"],
                   check=True, capture_output=True)
    assert "cannot load certificate key" in wrong(make_edge, shows((certificates[1][0], locked)))
