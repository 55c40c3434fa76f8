"""A small web application behind a plain location: forms, uploads, PUT, PATCH, DELETE, cookies, redirects, events."""
import http.client
import http.server
import json
import ssl
import subprocess
import threading
import urllib.parse

import pytest

PROGRAMS = ("curl", "python3")


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def content(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def say(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        items = self.server.items
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()  # its end is the connection's
            self.close_connection = True
            for n in range(3):
                self.wfile.write(b"data: %d\n\n" % n)
                self.wfile.flush()
                self.server.go_on.acquire(timeout=20)
        elif self.path == "/whoami":
            self.say(200, self.headers.get("Cookie", "nobody").encode())
        elif self.path in items:
            self.say(200, items[self.path])
        else:
            self.say(404)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.content()
        if self.path == "/login":
            name = urllib.parse.parse_qs(body.decode())["name"][0]
            return self.say(303, Location="/whoami", Set_Cookie=f"user={name}; Path=/")
        self.say(201, json.dumps({"type": self.headers["Content-Type"].split(";")[0], "size": len(body)}).encode())

    def do_PUT(self):
        self.server.items[self.path] = self.content()
        self.say(201)

    def do_PATCH(self):
        self.server.items[self.path] += self.content()
        self.say(200)

    def do_DELETE(self):
        self.say(204 if self.server.items.pop(self.path, None) is not None else 404)

    def do_OPTIONS(self):
        self.say(204, Allow="GET, PUT, PATCH, DELETE")


@pytest.fixture
def app():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    server.daemon_threads = True
    server.items, server.go_on = {}, threading.Semaphore(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def edge(make_edge, app):
    return make_edge(f"""location / {{ proxy_pass http://127.0.0.1:{app.server_port}; proxy_cache off;
                                       proxy_set_header Host $host; client_max_body_size 8m; }}""").start()


@pytest.mark.parametrize("version", ("--http1.0", "--http1.1", "--http2"))
def test_curl_logs_in_uploads_and_changes_things(edge, app, tmp_path, version):
    def curl(path, *options):
        return subprocess.run(["curl", "-sS", version, *(["--no-alpn"] if version == "--http1.0" else []), "--cacert", edge.ca, "--max-time", "20", *options,
                               edge.url(path)], check=True, capture_output=True).stdout
    jar = str(tmp_path / "jar")
    assert curl("/login", "-d", "name=ada", "-c", jar, "-b", jar, "-L") == b"user=ada"
    file = tmp_path / "file"
    file.write_bytes(b"x" * 300_000)
    posted = json.loads(curl("/files", "-F", f"file=@{file}"))
    assert posted["type"] == "multipart/form-data" and posted["size"] > 300_000
    curl("/a", "-T", str(file))
    curl("/a", "-X", "PATCH", "--data-binary", "tail")
    assert curl("/a") == b"x" * 300_000 + b"tail" and app.items["/a"].endswith(b"tail")
    assert b"300004" in curl("/a", "-I")
    assert b"PATCH" in curl("/a", "-X", "OPTIONS", "-i")
    assert curl("/a", "-X", "DELETE", "-w", "%{http_code}") == b"204"
    assert curl("/a", "-w", "%{http_code}") == b"404"


def test_pythons_client_sends_chunks_and_reads_events_as_they_come(edge, app):
    context = ssl.create_default_context(cafile=edge.ca)
    client = http.client.HTTPSConnection("localhost", edge.tls_port, context=context, timeout=20)
    client.request("PUT", "/b", body=iter([b"one", b"two"]), encode_chunked=True,
                   headers={"Transfer-Encoding": "chunked"})
    answer = client.getresponse()
    assert (answer.status, answer.read()) == (201, b"") and app.items["/b"] == b"onetwo"
    client.request("GET", "/events")
    events = client.getresponse()
    assert events.getheader("content-type") == "text/event-stream"
    for n in range(3):  # the next is sent only when this one has been seen
        assert events.readline() + events.readline() == b"data: %d\n\n" % n
        app.go_on.release()
    assert events.read() == b""
