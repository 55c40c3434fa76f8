"""A scripted HTTP/1.1 origin: serves resources from memory and misbehaves exactly as a test says.

    origin = Origin()
    thing = origin.add("/a.bin", size=8 << 20)
    thing.tamper = lambda answer, request, n: setattr(answer, "cut_after", 1 << 20) if n == 0 else None
    ... origin.url, origin.requests, origin.wait_until(lambda: len(origin.requests) == 1)

Threads; everything that a test reads is guarded by one lock. `kill()` drops the listener and every connection
with a reset, as a dying process does; `restart()` takes the same port again.
"""
import dataclasses
import hashlib
import random
import socket
import ssl
import struct
import threading
import time
from typing import Callable, Optional

PIECE = 64 * 1024
WAIT_SECONDS = 60


def made_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


@dataclasses.dataclass
class Request:
    method: str
    target: str
    fields: dict  # lower case names
    connection: int
    status: int = 0
    body_sent: int = 0
    body: bytes = b""

    def range(self):
        """(first, last or None), or None without a Range."""
        text = self.fields.get("range", "")
        if not text.startswith("bytes="):
            return None
        first, _, last = text[len("bytes="):].partition("-")
        return (int(first) if first else None, int(last) if last else None)


@dataclasses.dataclass
class Answer:
    status: int
    fields: dict
    body: bytes = b""
    length: Optional[int] = None       # content-length, where it is to lie
    framing: str = "length"            # length | chunked | close
    head_gate: Optional[threading.Event] = None
    gates: list = dataclasses.field(default_factory=list)  # (bytes of this body sent before, Event)
    cut_after: Optional[int] = None    # bytes of this body after which the connection breaks
    reset: bool = False                # the break is a RST
    rate: Optional[float] = None       # bytes per second
    trailers: dict = dataclasses.field(default_factory=dict)  # of a chunked one
    excess: bytes = b""                # sent after the body's end, once excess_gate is set
    excess_gate: Optional[threading.Event] = None


class Resource:
    """One path. `tamper(answer, request, n)` may change the n-th answer or return another."""

    def __init__(self, data, etag='"v1"', fields=None, ranges=True):
        self.data = data
        self.etag = etag
        self.fields = dict(fields or {})
        self.ranges = ranges
        self.tamper: Optional[Callable] = None
        self.asked = 0
        self.interim = b""  # sent in front of the answer's head
        self.early = False  # the answer goes out before the request's content is read
        self.content_gate: Optional[threading.Event] = None  # before it is read

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()

    def answer(self, request):
        fields = {"Content-Type": "application/octet-stream", **self.fields}
        if self.etag:
            fields["ETag"] = self.etag
        if self.etag and request.fields.get("if-none-match") == self.etag:
            return Answer(304, fields)
        asked = request.range() if self.ranges else None
        if_range = request.fields.get("if-range")
        if asked is None or (if_range is not None and if_range != self.etag):
            return Answer(200, fields, self.data)
        total = len(self.data)
        first, last = asked
        if first is None:
            first, last = max(0, total - last), total - 1
        if first >= total:
            return Answer(416, {**fields, "Content-Range": f"bytes */{total}"})
        last = total - 1 if last is None else min(last, total - 1)
        fields["Content-Range"] = f"bytes {first}-{last}/{total}"
        return Answer(206, fields, self.data[first:last + 1])


class Origin:
    def __init__(self):
        self.resources = {}
        self.requests = []
        self.connections = 0
        self._changed = threading.Condition()
        self._open = set()
        self._listener = None
        self.port = 0
        self.restart()

    # -- what tests say and ask --

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def add(self, path, data=None, size=0, seed=None, **options):
        if data is None:
            data = made_bytes(size, seed=path if seed is None else seed)
        self.resources[path] = Resource(data, **options)
        return self.resources[path]

    def wait_until(self, condition, what="the origin's state"):
        with self._changed:
            if not self._changed.wait_for(condition, WAIT_SECONDS):
                raise AssertionError(f"waited {WAIT_SECONDS} s for {what}; requests: {self.summary()}")

    def gets(self, path=None):
        with self._changed:
            return [r for r in self.requests if r.method == "GET" and path in (None, r.target)]

    def body_bytes(self):
        with self._changed:
            return sum(r.body_sent for r in self.requests)

    def summary(self):
        return [f"{r.method} {r.target} {r.fields.get('range', '')} -> {r.status} {r.body_sent}"
                for r in self.requests]

    def forget(self):
        with self._changed:
            self.requests.clear()

    # -- its life --

    def restart(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(256)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def kill(self):
        listener, self._listener = self._listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._changed:
            connections = list(self._open)
        for connection in connections:
            break_off(connection)

    close = kill

    # -- connections --

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if listener is not self._listener:
                break_off(connection)
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                self.connections += 1
                self._open.add(connection)
                number = self.connections
                self._changed.notify_all()
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        try:
            reader = connection.makefile("rb")
            while (request := read_request(reader, number)) is not None:
                resource = self.resources.get(request.target)
                early = resource is not None and resource.early
                if resource is not None and resource.content_gate:
                    resource.content_gate.wait(WAIT_SECONDS)
                if not early:
                    request.body = read_content(reader, request.fields)
                answer = self._answer(request)
                if resource is not None:
                    connection.sendall(resource.interim)
                with self._changed:
                    request.status = answer.status
                    self.requests.append(request)
                    self._changed.notify_all()
                if not self._send(connection, request, answer):
                    return
                if early:
                    connection.shutdown(socket.SHUT_WR)
                    while reader.read(PIECE):
                        pass
                    return
        except (OSError, ValueError):
            pass
        finally:
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()
            connection.close()

    def _answer(self, request):
        resource = self.resources.get(request.target)
        if resource is None:
            return Answer(404, {"Content-Type": "text/plain"}, b"no such thing\n")
        answer = resource.answer(request)
        with self._changed:
            number = resource.asked
            resource.asked += 1
        changed = resource.tamper and resource.tamper(answer, request, number)
        return changed if isinstance(changed, Answer) else answer

    def _send(self, connection, request, answer):
        """False: the connection must not be used again."""
        if answer.head_gate and not answer.head_gate.wait(WAIT_SECONDS):
            return False
        has_body = request.method != "HEAD" and answer.status not in (204, 304)
        connection.sendall(head_of(answer, has_body))
        if not has_body:
            return True
        body, at, began = memoryview(answer.body), 0, time.monotonic()
        gates = sorted(answer.gates, key=lambda gate: gate[0])
        end = len(body) if answer.cut_after is None else min(answer.cut_after, len(body))
        while True:
            while gates and at >= gates[0][0]:
                if not gates.pop(0)[1].wait(WAIT_SECONDS):
                    return False
            if at >= end:
                break
            stop = min(end, at + PIECE, gates[0][0] if gates else end)
            if answer.rate:
                time.sleep(max(0, began + at / answer.rate - time.monotonic()))
            piece = body[at:stop]
            connection.sendall(b"%x\r\n" % len(piece) + bytes(piece) + b"\r\n"
                               if answer.framing == "chunked" else piece)
            at = stop
            with self._changed:
                request.body_sent = at
                self._changed.notify_all()
        if answer.cut_after is not None:
            if answer.reset:
                break_off(connection)
            return False
        if answer.framing == "chunked":
            lines = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers.items())
            connection.sendall(b"0\r\n" + lines.encode() + b"\r\n")
        if answer.excess and answer.excess_gate.wait(WAIT_SECONDS):
            connection.sendall(answer.excess)
            with self._changed:
                request.body_sent += len(answer.excess)
                self._changed.notify_all()
        return answer.framing != "close" and answer.length in (None, len(body))


def head_of(answer, has_body):
    lines = [f"HTTP/1.1 {answer.status} Scripted"]
    lines += [f"{name}: {value}" for name, value in answer.fields.items()]
    if answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif answer.framing == "close":
        lines.append("Connection: close")
    elif has_body or answer.body:
        lines.append(f"Content-Length: {len(answer.body) if answer.length is None else answer.length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def read_request(reader, connection):
    line = reader.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    method, target, _ = line.split(" ", 2)
    fields = {}
    while (line := reader.readline().decode("latin-1").rstrip("\r\n")):
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return Request(method, target, fields, connection)


def read_content(reader, fields):
    if fields.get("transfer-encoding") != "chunked":
        return reader.read(int(fields.get("content-length", 0)))
    pieces = []
    while size := int(reader.readline().split(b";")[0], 16):
        pieces.append(reader.read(size))
        reader.readline()
    while (line := reader.readline().decode("latin-1").rstrip("\r\n")):
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return b"".join(pieces)


def break_off(connection):
    """Closes with a RST, and wakes whoever reads or writes it."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class TlsOrigin(Origin):
    """Over TLS: `context` is the server's. What a handshake told is noted in on_handshake()."""

    def __init__(self, certificate):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        super().__init__()

    def on_handshake(self, connection):
        pass

    def _serve(self, connection, number):
        try:
            connection = self.context.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            return
        self.on_handshake(connection)
        super()._serve(connection, number)
