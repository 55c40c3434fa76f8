"""Listeners whose connections begin with a PROXY header, and whom a request is taken to be from."""
import ssl
import socket
import struct

import pytest

from support import client
from support.edge import free_port

LINE = b"PROXY TCP4 192.0.2.7 127.0.0.1 5555 443\r\n"
BINARY = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("192.0.2.7")
          + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 5555, 443))
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0"
SAYS = '"$remote_addr $realip_remote_addr $proxy_protocol_addr $proxy_protocol_port"'


@pytest.fixture
def ports(make_edge):
    clear, tls = free_port(), free_port()
    edge = make_edge(f"location / {{ return 200 {SAYS}; }}", server=f"""
        listen 127.0.0.1:{clear} proxy_protocol; listen 127.0.0.1:{tls} ssl proxy_protocol;
        set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; client_header_timeout 300ms;""").start()
    return edge, clear, tls


def talk(port, pieces, tls=None):
    """What comes until the end, or None where the connection ends before a byte."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=client.TIMEOUT_SECONDS)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with raw:
        for piece in pieces:
            raw.sendall(piece)
        stream = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        if tls or pieces:
            try:
                stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                got = b""
                while data := stream.recv(4096):
                    got += data
            except (ConnectionError, ssl.SSLError):
                return None
            return got.partition(b"\r\n\r\n")[2].decode() or None
        return raw.recv(1) or None


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["version 1", "version 2"])
@pytest.mark.parametrize("over_tls", [False, True], ids=["cleartext", "TLS"])
def test_the_client_is_whom_the_header_names(ports, header, over_tls):
    edge, clear, tls = ports
    context = client.tls_context(edge.ca) if over_tls else None
    for pieces in ([header], [header[:3], header[3:14], header[14:]]):
        assert talk(tls if over_tls else clear, pieces, context) == "192.0.2.7 127.0.0.1 192.0.2.7 5555"


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"], ids=["LOCAL", "UNKNOWN"])
def test_a_balancer_may_speak_for_itself(ports, header):
    assert talk(ports[1], [header]) == "127.0.0.1 127.0.0.1  "


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 192.0.2.7 127.0.0.1 5555\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", LINE.replace(b"\r\n", b"\n"),
    BINARY.replace(b"\x21\x11", b"\x31\x11"), b"PROXY " + b"x" * 200],
    ids=["too few words", "none", "no CR", "version 3", "endless"])
def test_a_malformed_header_ends_the_connection(ports, header):
    assert talk(ports[1], [header]) is None


def test_a_header_that_does_not_come_ends_the_connection(ports):
    assert talk(ports[1], []) is None


def test_without_trust_the_header_is_a_variable_only(make_edge):
    port = free_port()
    make_edge(f"location / {{ return 200 {SAYS}; }}", server=f"listen 127.0.0.1:{port} proxy_protocol;").start()
    assert talk(port, [LINE]) == "127.0.0.1 127.0.0.1 192.0.2.7 5555"
