"""An HTTP/1.1 origin that reads to the letter and keeps all that it read: whether a proxy in front of it was made to
send what nobody asked it for shows here, and nowhere else.

    origin = StrictOrigin({"/small": b"..."})
    ... origin.requests: [Asked], origin.strange: bytes that are no request
"""
import dataclasses
import re
import socket
import threading

LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.[01]")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")


@dataclasses.dataclass
class Asked:
    method: str
    target: str
    fields: list   # (name in lower case, value), as they came
    body: bytes
    trailers: list = ()

    def values(self, name):
        return [value for field, value in self.fields if field == name]


class StrictOrigin:
    """Answers 404 for what is not in `resources`."""

    def __init__(self, resources):
        self.resources = resources
        self._lock = threading.Lock()
        self._requests, self._strange = [], []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def requests(self):
        with self._lock:
            return list(self._requests)

    @property
    def strange(self):
        with self._lock:
            return list(self._strange)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        """Until the peer goes, or sends what is no request."""
        with connection, connection.makefile("rb") as reader:
            try:
                while (asked := self._read(reader)) is not None:
                    with self._lock:
                        self._requests.append(asked)
                    body = self.resources.get(asked.target)
                    status = b"404 Not Found" if body is None else b"200 OK"
                    body = b"nothing" if body is None else body
                    connection.sendall(b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (
                        status, len(body), b"" if asked.method == "HEAD" else body))
            except (OSError, ValueError):
                pass

    def _read(self, reader):
        line = reader.readline()
        if not line:
            return None
        first = LINE.fullmatch(line.removesuffix(b"\r\n")) if line.endswith(b"\r\n") else None
        if not first:
            self._refuse(line)
        fields = self._read_fields(reader)
        method, target = first.groups()
        asked = Asked(method.decode(), target.decode(), fields, b"")
        lengths, codings = asked.values("content-length"), asked.values("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            self._refuse(repr(asked).encode())
        if codings:
            asked.body = self._read_chunks(reader)
            asked.trailers = self._read_fields(reader)
        elif lengths:
            asked.body = self._read_bytes(reader, int(lengths[0]))
        return asked

    def _read_fields(self, reader):
        fields = []
        while (line := reader.readline()) != b"\r\n":
            match = FIELD.fullmatch(line.removesuffix(b"\r\n")) if line.endswith(b"\r\n") else None
            name, value = match.groups() if match else self._refuse(line)
            fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        return fields

    def _read_chunks(self, reader):
        body = b""
        while True:
            line = reader.readline()
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}\r\n", line):
                self._refuse(line)
            size = int(line, 16)
            if size == 0:
                return body
            body += self._read_bytes(reader, size)
            if (line := reader.readline()) != b"\r\n":
                self._refuse(line)

    def _read_bytes(self, reader, count):
        got = reader.read(count)
        return got if len(got) == count else self._refuse(b"")

    def _refuse(self, what):
        """A request that breaks off, whose line is empty here, is none: only what came whole can be strange."""
        with self._lock:
            self._strange += [what] if what else []
        raise ValueError(what)
