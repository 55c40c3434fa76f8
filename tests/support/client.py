"""Clients: curl for whole exchanges, one connection of HTTP/1.1 or HTTP/2 where a test must see it from within."""
import dataclasses
import hashlib
import os
import re
import select
import socket
import ssl
import struct
import subprocess
import tempfile

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

TIMEOUT_SECONDS = 90


@dataclasses.dataclass
class Response:
    status: int
    version: str   # "1.1", "2"
    fields: dict   # lower case names; the last of repeated ones
    body: bytes
    exit_code: int  # curl's: 0 is a clean end
    error: str = ""

    @property
    def sha256(self):
        return hashlib.sha256(self.body).hexdigest()

    @property
    def cache_status(self):
        """Without what is told of every answer: how long it is fresh, what the upstream said, that it was stored."""
        return re.sub(r"; (ttl=-?\d+|stored|fwd-status=(?!304)\d+)", "", self.fields["cache-status"])

    @property
    def complete(self):
        return self.exit_code == 0


class Fetch:
    """A curl that runs. REQUIRES: result() is called once."""

    def __init__(self, url, ca=None, version="2", method="GET", fields=(), curl=()):
        self._folder = tempfile.TemporaryDirectory(prefix="entrepot-fetch-")
        self._head, self._body = (os.path.join(self._folder.name, name) for name in ("head", "body"))
        how = {"2": "--http2", "1.1": "--http1.1", "1.0": "--http1.0", "2c": "--http2-prior-knowledge"}[version]
        command = ["curl", "--silent", "--show-error", "--path-as-is", how, "--max-time", str(TIMEOUT_SECONDS),
                   "--dump-header", self._head, "--output", self._body, "--write-out", "%{http_version}"]
        if version == "1.0":
            command.append("--no-alpn")
        if ca:
            command += ["--cacert", ca]
        self._head_only = method == "HEAD"
        if self._head_only:
            command.append("--head")
        elif method != "GET":
            command += ["--request", method]
        for name, value in dict(fields).items():
            command += ["--header", f"{name}: {value}"]
        self._process = subprocess.Popen(command + list(curl) + [url], stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)

    def bytes_so_far(self):
        try:
            return os.path.getsize(self._body)
        except FileNotFoundError:
            return 0

    def running(self):
        return self._process.poll() is None

    def kill(self):
        self._process.kill()

    def result(self):
        version, error = self._process.communicate(timeout=TIMEOUT_SECONDS + 10)
        head, body = read_file(self._head), read_file(self._body)
        status, fields = parse_head(head.decode("latin-1"))
        if self._head_only:
            body = body[len(head):]  # curl --head puts the head there too
        self._folder.cleanup()
        return Response(status, version, fields, body, self._process.returncode, error)


def fetch(url, **options):
    return Fetch(url, **options).result()


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def parse_head(text):
    status, fields = 0, {}
    for line in text.splitlines():
        if line.startswith("HTTP/"):
            status, fields = int(line.split()[1]), {}
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
    return status, fields


def connect(port, tls_context=None, alpn=None, receive_buffer=None):
    raw = socket.socket()
    if receive_buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.settimeout(TIMEOUT_SECONDS)
    raw.connect(("127.0.0.1", port))
    if tls_context is None:
        return raw
    tls_context.set_alpn_protocols([alpn or "http/1.1"])
    return tls_context.wrap_socket(raw, server_hostname="localhost")


def tls_context(ca):
    return ssl.create_default_context(cafile=ca)


class Http1:
    """One HTTP/1.1 connection: the head when it is there, the body as much as is asked for."""

    def __init__(self, port, ca=None, receive_buffer=None):
        self.socket = connect(port, tls_context(ca) if ca else None, receive_buffer=receive_buffer)
        self._reader = self.socket.makefile("rb")

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def get(self, target, **fields):
        lines = [f"GET {target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")

    def head(self):
        lines = []
        while (line := self._reader.readline().decode("latin-1").rstrip("\r\n")):
            lines.append(line)
        return parse_head("\r\n".join(lines))

    def read(self, count):
        """`count` bytes, or fewer when the connection ends first."""
        return self._reader.read(count)

    def response(self):
        status, fields = self.head()
        return status, fields, self.read(int(fields.get("content-length", 0)))

    def close(self):
        self._reader.close()
        self.socket.close()

    def reset(self):
        """Closes with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class Http2:
    """One HTTP/2 connection, driven by hand."""

    def __init__(self, port, ca=None, window=None):
        self.socket = connect(port, tls_context(ca) if ca else None, alpn="h2")
        self.state = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.state.initiate_connection()
        if window is not None:
            self.state.update_settings({4: window})
        self.heads, self.bodies, self.ended, self.resets = {}, {}, set(), {}
        self.trailers = {}
        self.goaway = None
        self.acknowledge = True  # gives the windows back as bytes come
        self._flush()

    def get(self, path, method="GET", more=(), **fields):
        """`more`: fields whose names may be repeated."""
        stream = self.state.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self.state.send_headers(stream, head + [(n.replace("_", "-"), v) for n, v in fields.items()]
                                + list(more), end_stream=True)
        self.bodies[stream] = bytearray()
        self._flush()
        return stream

    def post(self, path, content, trailers=(), method="POST", **fields):
        """What fits into the windows."""
        stream = self.state.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self.state.send_headers(stream, head + [(n.replace("_", "-"), v) for n, v in fields.items()])
        self.state.send_data(stream, content, end_stream=not trailers)
        if trailers:
            self.state.send_headers(stream, list(trailers), end_stream=True)
        self.bodies[stream] = bytearray()
        self._flush()
        return stream

    def reset(self, stream):
        self.state.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def wait(self, condition):
        """Reads frames until condition(self). Raises when the connection ends first."""
        while not condition(self):
            data = self.socket.recv(65536)
            if not data:
                raise AssertionError(f"the connection ended; goaway: {self.goaway}, resets: {self.resets}")
            self._take(data)

    def wait_head(self, stream):
        self.wait(lambda c: stream in c.heads or stream in c.resets)
        return self.heads.get(stream)

    def wait_bytes(self, stream, count):
        self.wait(lambda c: len(c.bodies[stream]) >= count or stream in c.ended or stream in c.resets)
        return bytes(self.bodies[stream])

    def wait_end(self, stream):
        """The whole body, or None when the stream was reset."""
        self.wait(lambda c: stream in c.ended or stream in c.resets)
        return None if stream in self.resets else bytes(self.bodies[stream])

    def drain_for(self, seconds):
        """Takes what comes within `seconds`; for tests that show that something does not come."""
        while select.select([self.socket], [], [], seconds)[0]:
            data = self.socket.recv(65536)
            if not data:
                return
            self._take(data)

    def _take(self, data):
        try:
            events = self.state.receive_data(data)
        except h2.exceptions.ProtocolError as refused:
            if "in state ConnectionState.CLOSED" not in str(refused):
                raise
            # h2 4.1 takes no frame after a GOAWAY, not even of streams that are to be ended.
            raise AssertionError("the connection had ended with a GOAWAY") from refused
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                fields = dict(event.headers)
                self.heads[event.stream_id] = (int(fields.pop(":status")), fields)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers[event.stream_id] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] += event.data
                if self.acknowledge:
                    self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.resets[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event
        self._flush()

    def _flush(self):
        data = self.state.data_to_send()
        if data:
            self.socket.sendall(data)

    def close(self):
        self.socket.close()
