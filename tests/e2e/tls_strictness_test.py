"""TLS as HTTP/2 wants it. Source: RFC 9113 9.2; RFC 7301; RFC 8446 C.3."""
import socket
import ssl
import subprocess

import pytest

from support.client import tls_context
from support.frames import PREFACE, get, headers, settings
from support.http1 import read_all


def shake(edge, protocols=("h2", "http/1.1"), name="localhost", change=lambda context: None):
    context = tls_context(edge.ca)
    context.set_alpn_protocols(list(protocols))
    change(context)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", edge.tls_port)), server_hostname=name)


def at_most(version):
    return lambda context: setattr(context, "maximum_version", version)


@pytest.mark.parametrize("offered, chosen", [
    (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["h2"], "h2"),
    (["h2c", "h2"], "h2"), (["h2c", "http/1.1"], "http/1.1")], ids=" ".join)
def test_alpn_chooses_h2_and_never_h2c(strict_edge, offered, chosen):
    with shake(strict_edge, offered) as c:
        assert c.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("offered", [["h2c"], ["http/1.0"], ["h3"]], ids=" ".join)
def test_a_protocol_that_is_not_spoken_ends_the_handshake(strict_edge, offered):
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        shake(strict_edge, offered)


@pytest.mark.parametrize("version, spoken", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_http2_is_spoken_over_tls_1_2_and_1_3_without_compression(strict_edge, version, spoken):
    with shake(strict_edge, change=at_most(version)) as c:
        assert (c.version(), c.selected_alpn_protocol(), c.compression()) == (spoken, "h2", None)
        assert "GCM" in c.cipher()[0] or "CHACHA20" in c.cipher()[0], "RFC 9113 appendix A forbids the others"


def test_the_cipher_that_every_client_of_http2_has_is_spoken(strict_edge):
    def only(context):
        at_most(ssl.TLSVersion.TLSv1_2)(context)
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # of the certificate's kind
        context.set_ecdh_curve("prime256v1")
    with shake(strict_edge, change=only) as c:
        assert c.selected_alpn_protocol() == "h2"


def test_an_older_tls_is_refused(strict_edge):
    got = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{strict_edge.tls_port}", "-tls1_1", "-cipher",
                          "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert "alert protocol version" in got.stdout + got.stderr


def test_renegotiation_is_refused(strict_edge):
    got = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{strict_edge.tls_port}", "-tls1_2"],
                         input="R\n", capture_output=True, text=True, timeout=10)
    assert "RENEGOTIATING" in got.stdout + got.stderr and "no renegotiation" in got.stdout + got.stderr


def test_nobody_is_asked_for_a_certificate_once_requests_have_begun(strict_edge):
    def willing(context):
        context.post_handshake_auth = True
    with shake(strict_edge, change=willing) as c:
        c.sendall(PREFACE + settings() + headers(1, get("/small")))
        assert c.recv(1) and c.getpeercert() and c.version() == "TLSv1.3"


def test_the_end_of_a_connection_is_told_to_tls(strict_edge):
    """Else a client could not tell it from a cut."""
    with shake(strict_edge, ["http/1.1"]) as c:
        c.sendall(b"GET /small HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert read_all(c).endswith(b"s" * 100)
        c.unwrap()  # fails where no close_notify has come
