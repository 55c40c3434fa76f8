"""What the benches share: objects and a certificate, servers pinned to cores, CPU time of a process tree.

    with Lab() as lab:
        origin = lab.start_file_origin()
        edge = lab.start_edge(origin.port, cores="0")
        nginx = lab.start_nginx(origin.port, cores="0")
        before = edge.cpu_seconds(); ...; edge.cpu_seconds() - before

A server is pinned with all its children. Everything is stopped and deleted when the lab closes.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.dont_write_bytecode = True

from support.edge import binary, free_port  # noqa: E402

NAME = "bench.test"
TICKS = os.sysconf("SC_CLK_TCK")
# The scheduler groups tasks by session: whatever else runs on the machine would take an equal share of a core.
# What is measured asks for a larger one.
GROUP_PRIORITY = b"-15"
SIZES = {"1k": 1 << 10, "16k": 16 << 10, "256k": 256 << 10, "10m": 10 << 20}


def in_front():
    with contextlib.suppress(OSError):
        with open("/proc/self/autogroup", "wb") as file:
            file.write(GROUP_PRIORITY)


def run_client(command, cores):
    """Runs a load generator on `cores` to its end: (standard output, seconds of CPU it took)."""
    before = os.times()
    done = subprocess.run(["taskset", "-c", cores, *command], capture_output=True, text=True, check=False,
                          start_new_session=True, preexec_fn=in_front)
    after = os.times()
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, spent


def descendants(root):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="latin-1") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, rest = [], [root]
    while rest:
        pid = rest.pop()
        found.append(pid)
        rest += children.get(pid, [])
    return found


class Server:
    """One that runs: `port` speaks TLS, `clear_port` (if any) does not; `pid` is the root of its processes."""

    def __init__(self, label, pid, port, clear_port=None, process=None):
        self.label, self.pid, self.port, self.clear_port = label, pid, port, clear_port
        self.process = process

    def cpu_seconds(self):
        """User and system time of every process that lives, threads that ended included."""
        ticks = 0
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="latin-1") as file:
                fields = file.read().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def memory_mib(self):
        total = 0
        for pid in descendants(self.pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        return total / 1024

    def stop(self):
        if self.process is None:
            return
        family = descendants(self.pid)
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for pid in family:  # who has not ended, and whom its parent has left behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Lab:
    def __init__(self):
        # Servers that give up root must be able to walk in.
        self.folder = tempfile.mkdtemp(prefix="entrepot-bench-")
        os.chmod(self.folder, 0o755)
        self._ends = contextlib.ExitStack()
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.certificate, self.key = self._make_certificate()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._ends.close()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def _make_certificate(self):
        certificate, key = self.path("certificate.pem"), self.path("certificate.key")
        names = f"subjectAltName=DNS:{NAME},DNS:*.{NAME},DNS:localhost,IP:127.0.0.1"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", f"/CN={NAME}", "-addext", names, "-keyout", key,
                        "-out", certificate], check=True, capture_output=True)
        os.chmod(key, 0o644)
        return certificate, key

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def launch(self, label, command, port, cores, clear_port=None):
        log = self._ends.enter_context(open(self.path(f"{label}.out"), "ab"))
        process = subprocess.Popen(["taskset", "-c", cores, *command], stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True, preexec_fn=in_front)
        server = Server(label, process.pid, port, clear_port, process)
        self._ends.callback(server.stop)
        wait_port(port, process, lambda: self._said(label))
        return server

    def _said(self, label):
        texts = []
        for name in (f"{label}.out", f"{label}/error.log"):
            with contextlib.suppress(OSError), open(self.path(name), errors="replace", encoding="utf-8") as file:
                texts.append(file.read()[-3000:])
        return "\n".join(texts)

    # -- origins --

    def start_file_origin(self, cores="1", port=None):
        """nginx over clear text with one object for each of SIZES; served_requests() counts what it was asked."""
        os.makedirs(self.path("objects"), exist_ok=True)
        for name, size in SIZES.items():
            with open(self.path("objects", name), "wb") as file:
                file.write(os.urandom(size))
        port = port or free_port()
        os.makedirs(self.path("origin"))
        conf = self.write("origin/nginx.conf", f"""
worker_processes 1; daemon off; user root; pid {self.path('origin/pid')}; error_log {self.path('origin/error.log')};
events {{ worker_connections 4096; }}
http {{
    sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
    {temporary_paths(self.path('origin'))}
    log_format asked '$request $status "$http_range" $body_bytes_sent';
    server {{
        listen 127.0.0.1:{port} backlog=4096; root {self.path('objects')};
        access_log {self.path('origin/access.log')} asked;
        add_header Cache-Control "public, max-age=31536000, immutable";
    }}
}}
""")
        return self.launch("origin", ["nginx", "-c", conf, "-e", self.path("origin/error.log")], port, cores)

    def origin_requests(self):
        with open(self.path("origin/access.log"), encoding="utf-8") as file:
            return file.read().splitlines()

    # -- what is measured --

    def start_edge(self, origin_port, cores="0", workers=1, location="", main="", http="", label="edge",
                   wrapper=()):
        os.makedirs(self.path(label))
        port, clear_port, admin = free_port(), free_port(), free_port()
        self.write(f"{label}/edge.conf", f"""
worker_threads {workers};
daemon off;
user root;
pid entrepot.pid;
error_log error.log warn;
admin 127.0.0.1:{admin};
{main}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 300s;
    {http}
    proxy_cache_path cache keys_zone=edge:64m max_size=20g;
    upstream origin {{ server 127.0.0.1:{origin_port}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        listen 127.0.0.1:{clear_port} backlog=4096;
        http2 on;
        server_name {NAME} *.{NAME};
        ssl_certificate {self.certificate};
        ssl_certificate_key {self.key};
        proxy_cache edge;
        location / {{ proxy_pass http://origin; proxy_cache_valid 200 206 365d;
                     proxy_cache_key $uri$is_args$args; {location} }}
    }}
}}
""")
        server = self.launch(label, [*wrapper, binary(), "-p", self.path(label), "-c", "edge.conf"], port, cores, clear_port)
        wait_answer(f"http://127.0.0.1:{admin}/readyz")
        return server

    def start_nginx(self, origin_port, cores="0", location="", key="$uri$is_args$args", label="nginx"):
        """A caching proxy, set up as one would for this load."""
        os.makedirs(self.path(label, "cache"))
        port, clear_port = free_port(), free_port()
        here = self.path(label)
        conf = self.write(f"{label}/nginx.conf", f"""
worker_processes 1; worker_rlimit_nofile 20000; daemon off; user root; pid {here}/pid;
error_log {here}/error.log error;
events {{ worker_connections 8192; use epoll; multi_accept on; }}
http {{
    access_log off; server_tokens off; gzip off; default_type application/octet-stream;
    sendfile on; tcp_nopush on; tcp_nodelay on; output_buffers 1 512k;
    keepalive_timeout 300s; keepalive_requests 1000000000;
    open_file_cache max=20000 inactive=1h; open_file_cache_valid 1h; open_file_cache_min_uses 1;
    http2_max_concurrent_streams 256; http2_chunk_size 16k; http2_recv_buffer_size 256k; ssl_buffer_size 16k;
    {temporary_paths(here)}
    proxy_cache_path {here}/cache levels=1:2 keys_zone=c:64m max_size=20g inactive=30d use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin_port} max_fails=0; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} ssl http2 reuseport backlog=4096;
        listen 127.0.0.1:{clear_port} reuseport backlog=4096;
        server_name {NAME};
        ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
        ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_cache shared:S:16m; ssl_session_tickets off;
        location / {{
            proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header Host $host; proxy_read_timeout 120s;
            proxy_buffer_size 8k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k;
            proxy_cache c; proxy_cache_key {key}; proxy_cache_valid 200 206 365d; proxy_cache_lock on;
            proxy_cache_lock_timeout 30m; proxy_cache_lock_age 30m; proxy_cache_use_stale error timeout updating;
            {location}
        }}
    }}
}}
""")
        return self.launch(label, ["nginx", "-c", conf, "-e", f"{here}/error.log"], port, cores, clear_port)

    def start_traffic_server(self, origin_port, cores="0-1", workers=2, label="ats"):
        """Apache Traffic Server whose followers read while the first one writes."""
        here, port = self.path(label), free_port()
        subprocess.run(["traffic_layout", "init", "--path", here, "--copy-style=SOFT"], check=True,
                       capture_output=True)
        self._own_folders(here)
        conf = os.path.join(here, "sysconfdir")
        tls = os.path.join(here, "tls")
        os.makedirs(tls)
        for file in (self.certificate, self.key):
            shutil.copy(file, tls)
        settings = {"exec_thread.autoconfig": 0, "exec_thread.limit": workers, "accept_threads": 0,
                    "http.server_ports": f"{port}:ssl", "net.listen_backlog": 4096,
                    "admin.user_id": "trafficserver", "ssl.server.cert.path": tls,
                    "ssl.server.private_key.path": tls, "ssl.server.multicert.filename": "ssl_multicert.config",
                    "ssl.server.TLSv1_3.cipher_suites": "TLS_AES_128_GCM_SHA256", "ssl.server.groups_list": "X25519",
                    "cache.ram_cache.size": 1 << 30, "cache.ram_cache_cutoff": 20 << 20,
                    "cache.target_fragment_size": 1 << 20, "cache.enable_read_while_writer": 1,
                    "cache.read_while_writer.max_retries": 100, "cache.read_while_writer_retry.delay": 50,
                    "http.cache.open_write_fail_action": 5, "http.cache.max_open_write_retries": 5,
                    "http.cache.max_open_read_retries": 100, "http.cache.open_read_retry_time": 20,
                    "http.background_fill_active_timeout": 0, "http2.initial_window_size_in": 1 << 20,
                    "http2.max_concurrent_streams_in": 256, "http.keep_alive_no_activity_timeout_in": 300,
                    "http.transaction_no_activity_timeout_in": 120, "url_remap.remap_required": 1,
                    "http.transaction_no_activity_timeout_out": 120, "log.logging_enabled": 0}
        lines = [f"CONFIG proxy.config.{name} {'INT' if isinstance(value, int) else 'STRING'} {value}\n"
                 for name, value in settings.items()]
        lines.append("CONFIG proxy.config.http.background_fill_completed_threshold FLOAT 0.0\n")
        names = [prefix + NAME for prefix in ("", "h1.", "h2.")]
        maps = [f"map https://{name}{end}/ http://127.0.0.1:{origin_port}/\n"
                for name in names for end in (f":{port}", "")]
        for name, text in {
                "records.config": "".join(lines), "remap.config": "".join(maps), "plugin.config": "",
                "ssl_multicert.config": "ssl_cert_name=certificate.pem ssl_key_name=certificate.key dest_ip=*\n",
                "storage.config": f"{here}/cachedir 4G\n", "cache.config": "",
                "ip_allow.yaml": "ip_allow:\n  - {apply: in, ip_addrs: 127.0.0.1, action: allow, methods: ALL}\n",
        }.items():
            self.write(os.path.join(conf, name), text)
        subprocess.run(["chown", "-R", "trafficserver", here], check=True)
        return self.launch(label, ["traffic_server", f"--run-root={here}"], port, cores)

    def _own_folders(self, here):
        """The layout tool leaves the system's folders in its list: put all that is written below `here`."""
        layout = os.path.join(here, "runroot.yaml")
        with open(layout, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for at, line in enumerate(lines):
            name = line.split(":")[0]
            if name in ("sysconfdir", "datadir", "localstatedir", "runtimedir", "logdir", "cachedir"):
                os.makedirs(os.path.join(here, name), exist_ok=True)
                lines[at] = f"{name}: ./{name}"
        self.write(layout, "\n".join(lines) + "\n")

    # -- load --

    def build_fanout(self):
        """Compiles fanout.cc: g++ and the libraries are there wherever the edge itself was built."""
        source = os.path.join(ROOT, "bench", "fanout.cc")
        subprocess.run(["g++", "-O2", "-std=c++20", "-o", self.path("fanout"), source, "-lcurl", "-lxxhash"],
                       check=True)

    def fanout(self, server, clients, path, expected, mode="mixed", cores="0-1"):
        """See fanout.cc. `expected`: a file with the right body."""
        said, spent = run_client([self.path("fanout"), str(server.port), self.certificate, str(clients), path,
                                  expected, mode], cores)
        return {**json.loads(said), "client_cpu": spent}


def temporary_paths(folder):
    return " ".join(f"{kind}_temp_path {folder}/{kind};"
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


def wait_port(port, process, said, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args} ended with {process.returncode}:\n{said()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"{process.args} did not open port {port}:\n{said()}")


def wait_answer(url, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    sys.exit(f"{url} does not answer")


def require(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; install the sections test and bench of .ci/packages.txt")
