"""A running entrepot: writes a conf into a folder, starts the binary, waits until it answers, stops it.

The binary is ENTREPOT_BIN. Whatever a sanitizer reports, and any end that was not asked for, fails the test
that stops the edge.
"""
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from support import client

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WAIT_SECONDS = 60
SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:")
LOG_FORMAT = ('log_format main escape=json \'{"request":"$request","status":$status,"sent":$body_bytes_sent,'
              '"cache":"$upstream_cache_status","protocol":"$server_protocol","range":"$http_range",'
              '"time":$request_time}\';')


def binary():
    path = os.environ.get("ENTREPOT_BIN", os.path.join(ROOT, "build/release/entrepot"))
    assert os.access(path, os.X_OK), f"no entrepot at {path}: build it, or set ENTREPOT_BIN"
    return path


taken_ports = set()  # by this process: whoever asked for one may not have bound it yet


def ports_of_this_process():
    """Of 12000 to 32000, which is below what the kernel gives to outgoing connections: where several processes
    run tests, to each its own."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    each = 20000 // count
    return range(12000 + number * each, 12000 + (number + 1) * each)


def free_port():
    """A port that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(ports_of_this_process())
        if port in taken_ports:
            continue
        taken_ports.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def make_certificate(folder, name="localhost"):
    """A self-signed certificate for `name` and 127.0.0.1: (certificate, key)."""
    certificate, key = os.path.join(folder, f"{name}.pem"), os.path.join(folder, f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class Edge:
    """`locations`: what stands in the server block. `http`, `main`: what is added in those contexts.

    `store`: where the cache is. `program`, `environment`, `wrapper`: another binary, variables that it has besides,
    a command that becomes it (strace -D, prlimit). `error_level`: for write_conf().
    """

    error_level = "info"

    def __init__(self, folder, certificate, locations, http="", main="", cache="max_size=4g", workers=2,
                 server="", store="cache", program=None, environment=None, wrapper=()):
        self.folder = str(folder)
        self.ca, self._key = certificate
        self.tls_port, self.clear_port, self.admin_port = free_port(), free_port(), free_port()
        self.locations, self.http, self.main, self.server = locations, http, main, server
        self.cache, self.workers, self.store = cache, workers, store
        self.program, self.environment, self.wrapper = program or binary(), environment or {}, list(wrapper)
        self.process = None
        self.write_conf()

    # -- its life --

    def write_conf(self, **changes):
        for name, value in changes.items():
            setattr(self, name, value)
        text = f"""
worker_threads {self.workers};
daemon off;
pid entrepot.pid;
error_log error.log {self.error_level};
admin 127.0.0.1:{self.admin_port};
{self.main}
events {{ worker_connections 4096; }}
http {{
    {LOG_FORMAT}
    access_log access.log main;
    proxy_cache_path {self.store} keys_zone=edge:16m {self.cache};
    {self.http}
    server {{
        listen 127.0.0.1:{self.tls_port} ssl http2;
        listen 127.0.0.1:{self.clear_port} http2;
        server_name localhost;
        ssl_certificate {self.ca};
        ssl_certificate_key {self._key};
        proxy_cache edge;
        {self.server}
        {self.locations}
    }}
}}
"""
        with open(os.path.join(self.folder, "edge.conf"), "w", encoding="utf-8") as file:
            file.write(text)

    def _line(self, *options):
        return [*self.wrapper, self.program, "-p", self.folder, "-c", "edge.conf", *options]

    def launch(self, *options):
        """Starts without waiting."""
        with open(os.path.join(self.folder, "stderr"), "ab") as stderr:
            self.process = subprocess.Popen(self._line(*options), stdin=subprocess.DEVNULL, stdout=stderr,
                                            stderr=stderr, env={**os.environ, **self.environment})
        return self

    def start(self):
        self.launch()
        wait_until(self._answers, lambda: f"the edge to be ready:\n{self.stderr()}\n{self.error_log()}")
        return self

    def _answers(self):
        code = self.process.poll()
        assert code is None, f"the edge ended with {code}:\n{self.stderr()}\n{self.error_log()}"
        try:
            return self.admin("/readyz")[0] == 200
        except OSError:
            return False

    def command(self, *options):
        """Runs the binary with the conf and more options, to its end."""
        return subprocess.run([self.program, "-p", self.folder, "-c", "edge.conf", *options], capture_output=True,
                              text=True, timeout=WAIT_SECONDS, stdin=subprocess.DEVNULL)

    def send_signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """Takes the conf anew; who is set aside for what it sent may be asked again."""
        before = self.error_log().count("reconfigured")
        self.send_signal(signal.SIGHUP)
        wait_until(lambda: self.error_log().count("reconfigured") > before, "the conf to be taken anew")

    def wait_exit(self):
        return self.process.wait(WAIT_SECONDS)

    def serving_pid(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            children = [int(pid) for pid in file.read().split()]
        return children[0] if children else None

    def strike(self):
        """Kills master and child at once, and waits for neither."""
        child = self.serving_pid()
        self.process.kill()
        if child:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def kill(self):
        """What a power cut leaves of processes."""
        self.strike()
        self.wait_killed()

    def wait_killed(self):
        self.process.wait()
        wait_until(lambda: not self._listening(), "the killed edge's sockets to close")
        self.process = None

    def abandon(self):
        """Ends it in whatever state it is, and holds nothing against it."""
        if self.process.poll() is None:
            self.kill()
        self.process = None

    def _listening(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.tls_port)) == 0

    def stop(self, number=signal.SIGTERM):
        """Ends it, and holds everything it said against it."""
        code = 0
        if self.process is not None:
            self.send_signal(number)
            code = self.wait_exit()
            self.process = None
        said = self.stderr() + self.error_log()
        found = SANITIZER.search(said)
        assert not found, f"a sanitizer speaks:\n{said[found.start():found.start() + 6000]}"
        died = re.search(r"serving process \d+ exited on signal (?!9\b)\d+", said)
        assert not died, f"the serving process died:\n{said[-6000:]}"
        assert code == 0, f"the edge ended with {code}:\n{said[-6000:]}"

    def blob_file(self, sha256):
        return os.path.join(self.folder, self.store, "blobs", sha256[:2], sha256)

    # -- what it tells --

    def stderr(self):
        return client.read_file(os.path.join(self.folder, "stderr")).decode("utf-8", "replace")

    def error_log(self):
        return client.read_file(os.path.join(self.folder, "error.log")).decode("utf-8", "replace")

    def wait_log(self, pattern):
        wait_until(lambda: re.search(pattern, self.error_log()),
                   lambda: f"{pattern!r} in the error log:\n{self.error_log()}")

    def access_log(self):
        text = client.read_file(os.path.join(self.folder, "access.log")).decode()
        return [json.loads(line) for line in text.splitlines()]

    def admin(self, path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """name -> value, without the entrepot_ in front."""
        values = {}
        for line in self.admin("/metrics")[1].splitlines():
            match = re.match(r"(?:entrepot_)?(\w+)(?:\{[^}]*\})? ([-+.\deE]+)$", line)
            if match:
                values[match.group(1)] = float(match.group(2))
        return values

    def wait_metric(self, name, condition):
        wait_until(lambda: condition(self.metrics()[name]),
                   lambda: f"{name} (is {self.metrics().get(name)}):\n{self.error_log()}")

    def wait_idle(self):
        """No fill runs: what came is stored or dropped."""
        self.wait_metric("fills_running", lambda value: value == 0)

    # -- requests --

    def url(self, path, tls=True):
        return f"https://localhost:{self.tls_port}{path}" if tls else f"http://127.0.0.1:{self.clear_port}{path}"

    def start_fetch(self, path, tls=True, **options):
        return client.Fetch(self.url(path, tls), ca=self.ca if tls else None, **options)

    def fetch(self, path, **options):
        return self.start_fetch(path, **options).result()

    def http1(self, tls=True, **options):
        port, ca = (self.tls_port, self.ca) if tls else (self.clear_port, None)
        return client.Http1(port, ca, **options)

    def http2(self, tls=True, **options):
        port, ca = (self.tls_port, self.ca) if tls else (self.clear_port, None)
        return client.Http2(port, ca, **options)


def wait_until(condition, what, seconds=WAIT_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what() if callable(what) else what}")
        time.sleep(0.01)
