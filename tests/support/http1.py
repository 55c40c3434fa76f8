"""HTTP/1 written by hand: requests of any bytes, and a strict reading of all that is answered."""
import re
import socket

from support.client import connect

CHUNKED = b"Transfer-Encoding: chunked\r\n"
# Pipelined behind a row's request: served where that is allowed, and by nobody where it is not.
BEHIND = b"GET /pass/other HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def read_all(connection):
    """What comes until the end, clean or not."""
    got = b""
    try:
        while (piece := connection.recv(65536)):
            got += piece
    except ConnectionResetError:
        pass
    return got


def exchange(port, request, half_close=False):
    """All that comes until the end, which must come within seconds."""
    with connect(port) as connection:
        connection.settimeout(5)
        try:
            connection.sendall(request)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return read_all(connection)


def responses(got):
    """(status, fields, body) of each that is final; what is none fails."""
    found = []
    while got:
        head, end, got = got.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert end and re.fullmatch(rb"HTTP/1\.1 \d{3} [ -~]*", lines[0]), head[:200]
        fields = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines[1:])}
        status = int(lines[0].split()[1])
        length = 0 if status in (100, 204, 304) else int(fields[b"content-length"])
        found += [(status, fields, got[:length])] * (status >= 200)
        got = got[length:]
    return found


def asked_with(text, method):
    return text.replace(b"METHOD", method)


def request(*lines, line=b"METHOD /pass/thing HTTP/1.1", host=b"Host: localhost", body=b""):
    return b"".join(part + b"\r\n" for part in (line, *([host] if host else []), *lines)) + b"\r\n" + body


def field(*lines, body=b""):
    """With fields of these bytes, whatever they are."""
    return b"METHOD /pass/thing HTTP/1.1\r\nHost: localhost\r\n" + b"".join(lines) + b"\r\n" + body
