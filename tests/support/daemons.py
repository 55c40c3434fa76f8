"""Real servers as upstreams: Debian's nginx over a folder and its container registry, and verdaccio for npm.

Each runs in a folder of its own, on a port of its own, and can be killed as a machine that goes away is:
`kill()` leaves nobody who listens. A missing program fails the test that needs it.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from support.edge import ROOT, WAIT_SECONDS, free_port, wait_until


class Daemon:
    """REQUIRES: command() of the subclass stays in the foreground and listens on `port`."""

    program = ""

    def __init__(self, folder):
        found = shutil.which(self.program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        assert found, f"{self.program} is not installed"
        self.program = found
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.port = free_port()
        self._process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                             start_new_session=True)
        wait_until(self._listens, lambda: f"{self.program}:\n{self.output()}")
        return self

    def _listens(self):
        code = self._process.poll()
        assert code is None, f"{self.program} ended with {code}:\n{self.output()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def output(self):
        with open(os.path.join(self.folder, "output"), errors="replace", encoding="utf-8") as file:
            return file.read()

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def kill(self):
        """Every process of it, at once. Nothing listens on the port when this returns."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(WAIT_SECONDS)
        self._process = None
        wait_until(self._refuses, f"port {self.port} to close")

    def _refuses(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


class Nginx(Daemon):
    """Serves `root` as Debian's nginx does unless told otherwise. requests(): (method, target, status, range).

    `server`, `http`: what is added in these blocks; with a certificate in `server` it speaks TLS.
    """

    program = "nginx"

    def __init__(self, folder, root="/nonexistent", server="", http=""):
        super().__init__(folder)
        self._conf, self._access = (os.path.join(self.folder, name) for name in ("nginx.conf", "access.log"))
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{kind};"
                             for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # The folders of pytest are open to their owner only: the worker stays who started it.
        user = "user root;" if os.geteuid() == 0 else ""
        ssl = " ssl" if "ssl_certificate" in server else ""
        with open(self._conf, "w", encoding="utf-8") as file:
            file.write(f"""
daemon off; worker_processes 1; {user} pid {self.folder}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
    {temporary}
    log_format asked '$request_method $request_uri $status "$http_range"';
    access_log {self._access} asked;
    sendfile on;
    {http}
    server {{ listen 127.0.0.1:{self.port}{ssl}; root {root}; {server} }}
}}
""")

    def command(self):
        return [self.program, "-c", self._conf, "-e", "stderr"]

    def requests(self):
        with open(self._access, encoding="utf-8") as file:
            lines = [line.split(" ", 3) for line in file.read().splitlines()]
        return [(method, target, int(status), asked.strip('"')) for method, target, status, asked in lines]


class Registry(Daemon):
    """Debian's docker-registry on an empty folder. `accounts`: lines of an htpasswd file; `tokens`: a TokenServer
    (support/tokens.py) whose tokens it wants; neither: open to all."""

    program = "docker-registry"

    def __init__(self, folder, accounts=None, tokens=None):
        super().__init__(folder)
        self._conf = os.path.join(self.folder, "registry.yml")
        self._forgotten = 0
        auth = ""
        if accounts:
            with open(os.path.join(self.folder, "accounts"), "w", encoding="utf-8") as file:
                file.write(accounts)
            auth = f"auth: {{ htpasswd: {{ realm: test, path: {self.folder}/accounts }} }}"
        if tokens:
            auth = (f"auth: {{ token: {{ realm: '{tokens.realm}', service: {tokens.SERVICE}, "
                    f"issuer: {tokens.ISSUER}, rootcertbundle: {tokens.ca} }} }}")
        with open(self._conf, "w", encoding="utf-8") as file:
            file.write(f"""
version: 0.1
log: {{ level: info, accesslog: {{ disabled: false }} }}
storage: {{ filesystem: {{ rootdirectory: {self.folder}/store }} }}
http: {{ addr: "127.0.0.1:{self.port}" }}
{auth}
""")

    def command(self):
        return [self.program, "serve", self._conf]

    def forget(self):
        """requests() begins anew."""
        self._forgotten = len(self._asked())

    def requests(self):
        """(method, target, status) of each, from its access log in the common format."""
        return self._asked()[self._forgotten:]

    def _asked(self):
        lines = (line.split('"') for line in self.output().splitlines() if '" ' in line and " HTTP/1." in line)
        found = []
        for parts in lines:
            words = parts[1].split(" ")
            if len(words) == 3:
                found.append((words[0], words[1], int(parts[2].split()[0])))
        return found


class Verdaccio(Daemon):
    """An npm registry that knows no other and lets everybody publish. `storage`: a folder of packages to copy.

    No Debian package: npm installs it once for this tree, into build/tools. The npm that does it is a newer one:
    Debian's 9.2 fails where an override meets a dependency on a tag ("Invalid comparator: cjs").
    """

    program = "node"
    _installed = os.path.join(ROOT, "build", "tools", "verdaccio")
    _package = {"name": "tools", "private": True, "dependencies": {"verdaccio": "5.33.0"},
                "overrides": {"node-fetch": "2.7.0"}}

    def __init__(self, folder, storage=None):
        super().__init__(folder)
        self._install()
        self.storage = os.path.join(self.folder, "storage")
        self._conf = os.path.join(self.folder, "verdaccio.yaml")
        self._forgotten = 0
        if storage:
            shutil.copytree(storage, self.storage)
        with open(self._conf, "w", encoding="utf-8") as file:
            file.write(f"""
storage: {self.storage}
auth: {{ htpasswd: {{ file: {self.folder}/accounts }} }}
uplinks: {{}}
packages: {{ "**": {{ access: $all, publish: $all, unpublish: $all }} }}
web: {{ enable: false }}
log: {{ type: stdout, format: json, level: info }}
""")

    @classmethod
    def _install(cls):
        if os.path.isdir(cls._installed):
            return
        os.makedirs(os.path.dirname(cls._installed), exist_ok=True)
        folder = tempfile.mkdtemp(dir=os.path.dirname(cls._installed))
        with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as file:
            json.dump(cls._package, file)
        done = subprocess.run(["/usr/bin/npm", "exec", "--yes", "--package=npm@10", "--", "npm", "install",
                               "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=600)
        assert done.returncode == 0, f"verdaccio cannot be installed:\n{done.stdout}{done.stderr}"
        os.rename(folder, cls._installed)

    def command(self):
        script = os.path.join(self._installed, "node_modules", "verdaccio", "bin", "verdaccio")
        return [self.program, script, "--config", self._conf, "--listen", f"127.0.0.1:{self.port}"]

    @classmethod
    def version(cls):
        cls._install()
        with open(os.path.join(cls._installed, "node_modules", "verdaccio", "package.json"),
                  encoding="utf-8") as file:
            return json.load(file)["version"]

    def forget(self):
        """requests() begins anew."""
        self._forgotten = len(self._asked())

    def requests(self):
        """(method, target) of each."""
        return self._asked()[self._forgotten:]

    def _asked(self):
        lines = (json.loads(line) for line in self.output().splitlines() if line.startswith("{"))
        return [(line["req"]["method"], line["req"]["url"]) for line in lines if "req" in line]
