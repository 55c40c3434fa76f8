"""Names in handshakes: which certificate a client is shown, sessions that are resumed, and by which name an upstream is
asked and verified."""
import socket
import ssl
import subprocess

import pytest

from support.edge import make_certificate
from support.origin import TlsOrigin


def handshake(edge, name, ciphers=None, session=None, context=None):
    """The certificate shown, or the socket where a context is given."""
    own = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if context is None:
        own.check_hostname, own.verify_mode = False, ssl.CERT_NONE
        if ciphers:
            own.maximum_version = ssl.TLSVersion.TLSv1_2
            own.set_ciphers(ciphers)
    raw = socket.create_connection(("127.0.0.1", edge.tls_port), 10)
    wrapped = own.wrap_socket(raw, server_hostname=name, session=session)
    if context:
        return wrapped
    with wrapped:
        return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(True))


def pem(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def certificates_of(names, folder):
    return {name: make_certificate(folder, name) for name in names}


def test_the_server_that_the_handshake_names_shows_its_certificate(make_edge, tmp_path):
    """Exact names first, then the longest wildcard in front, the longest behind, then expressions in their order."""
    shown = certificates_of(["exact", "front", "behind", "expression"], tmp_path)
    names = {"exact": "www.example.com", "front": "*.example.com", "behind": "mail.*",
             "expression": "~^(?<who>.+)\\.example\\.net$"}
    edge = make_edge("location / { return 200 default; }")
    servers = "".join(f"""server {{ listen 127.0.0.1:{edge.tls_port} ssl; server_name "{names[name]}";
        ssl_certificate {certificate}; ssl_certificate_key {key}; return 200 {name}; }}"""
                      for name, (certificate, key) in shown.items())
    edge.write_conf(http=servers)
    edge.start()
    asked = {"www.example.com": "exact", "a.b.example.com": "front", "mail.example.org": "behind",
             "ann.example.net": "expression", "elsewhere.example": "exact"}  # the first is the default one
    for host, name in asked.items():
        assert handshake(edge, host) == pem(shown[name][0]), host


def test_of_several_certificates_the_client_is_shown_the_one_that_it_can_verify(make_edge, tmp_path):
    elliptic = make_certificate(tmp_path, "elliptic")
    rsa = [str(tmp_path / "rsa.pem"), str(tmp_path / "rsa.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=two",
                    "-keyout", rsa[1], "-out", rsa[0]], check=True, capture_output=True)
    edge = make_edge("location / { return 200 ok; }")
    edge.write_conf(http=f"""server {{ listen 127.0.0.1:{edge.tls_port} ssl; server_name two;
        ssl_certificate {elliptic[0]}; ssl_certificate_key {elliptic[1]};
        ssl_certificate {rsa[0]}; ssl_certificate_key {rsa[1]}; }}""")
    edge.start()
    assert handshake(edge, "two", "ECDHE-ECDSA-AES128-GCM-SHA256") == pem(elliptic[0])
    assert handshake(edge, "two", "ECDHE-RSA-AES128-GCM-SHA256") == pem(rsa[0])


@pytest.mark.parametrize("tickets, version", [("on", "TLSv1_3"), ("on", "TLSv1_2"), ("off", "TLSv1_3"), ("off", "TLSv1_2")])
def test_a_session_is_resumed_with_whichever_worker_unless_the_conf_forbids_it(make_edge, tickets, version):
    edge = make_edge("location / { return 200 ok; }", server=f"ssl_session_tickets {tickets};", workers=2).start()
    context = ssl.create_default_context(cafile=edge.ca)
    context.maximum_version = ssl.TLSVersion[version]
    session, resumed = None, []
    for _ in range(8):
        with handshake(edge, "localhost", context=context, session=session) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while connection.recv(4096):
                pass
            resumed.append(connection.session_reused)
            session = session or (connection.session if tickets == "on" or version == "TLSv1_2" else None)
    assert resumed == [False] + 7 * [tickets == "on"]


class NamedOrigin(TlsOrigin):
    """`names`: what clients asked for in their handshakes."""

    def __init__(self, certificate):
        self.names = []
        super().__init__(certificate)
        self.context.sni_callback = lambda _, name, context: self.names.append(name)


@pytest.fixture
def named(tmp_path):
    certificate = make_certificate(tmp_path, "packages.example")
    origin = NamedOrigin(certificate)
    origin.add("/x", data=b"x")
    yield origin, certificate[0]
    origin.close()


@pytest.mark.parametrize("name", ["packages.example", "$arg_name"])
@pytest.mark.parametrize("cache", ["", "proxy_cache off;"], ids=["fill", "pass"])
def test_an_upstream_is_asked_and_verified_by_proxy_ssl_name(make_edge, named, name, cache):
    origin, ca = named
    origin.add("/x?name=packages.example", data=b"x")
    edge = make_edge(f"location / {{ proxy_pass https://localhost:{origin.port}; proxy_ssl_name {name}; {cache}"
                     f" proxy_ssl_trusted_certificate {ca}; }}").start()
    assert edge.fetch("/x?name=packages.example").body == b"x"
    assert set(origin.names) == {"packages.example"}


def test_a_name_that_the_certificate_does_not_bear_is_refused(make_edge, named):
    origin, ca = named
    edge = make_edge(f"location / {{ proxy_pass https://localhost:{origin.port}; proxy_ssl_trusted_certificate {ca}; }}"
                     f"location /other/ {{ proxy_pass https://localhost:{origin.port}/; proxy_ssl_name other.example;"
                     f" proxy_ssl_trusted_certificate {ca}; }}").start()
    for path in ("/x", "/other/x"):
        answer = edge.fetch(path)
        assert (answer.status, "tls_certificate_error" in answer.fields["proxy-status"]) == (502, True)
    assert origin.requests == [] and set(origin.names) == {"localhost", "other.example"}
