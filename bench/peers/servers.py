"""The peers that lab.py does not start: each set up as one would for this load, pinned, on a free port, TLS 1.3 with
AES-128-GCM, X25519 and the lab's certificate."""
import os

import lab as bench
from support.edge import free_port


def start_h2o(lab, cores="0"):
    """Static files, no cache: the least that anybody needs for a hit over HTTP/2."""
    port = free_port()
    os.makedirs(lab.path("h2o"))
    files = f"""
      "/":
        file.dir: {lab.path("objects")}
        header.set: "Cache-Control: public, max-age=31536000, immutable"
"""
    conf = lab.write("h2o/h2o.conf", f"""
num-threads: 1
max-connections: 8192
http2-max-concurrent-requests-per-connection: 256
http2-idle-timeout: 300
http1-request-timeout: 300
error-log: {lab.path("h2o/error.log")}
user: root
listen:
  host: 127.0.0.1
  port: {port}
  ssl: {{certificate-file: {lab.certificate}, key-file: {lab.key}, minimum-version: TLSv1.2}}
hosts:
  "{bench.NAME}:{port}":
    paths:{files}
  default:
    paths:{files}
""")
    return lab.launch("h2o", ["h2o", "-c", conf], port, cores)


def both_files(lab):
    texts = []
    for path in (lab.key, lab.certificate):
        with open(path, encoding="ascii") as file:
            texts.append(file.read())
    return lab.write("both.pem", "".join(texts))


def start_haproxy(lab, origin_port, cores="0"):
    """Its cache is memory alone."""
    port = free_port()
    conf = lab.write("haproxy.cfg", f"""
global
  nbthread 1
  maxconn 8192
  tune.h2.initial-window-size 1048576
  tune.h2.max-concurrent-streams 256
  tune.bufsize 32768
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
  ssl-default-bind-curves X25519
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode http
  timeout client 300s
  timeout server 300s
  timeout connect 5s
  option http-keep-alive
cache c
  total-max-size 1024
  max-object-size 300000000
  max-age 86400
frontend f
  bind 127.0.0.1:{port} ssl crt {both_files(lab)} alpn h2,http/1.1 backlog 4096
  http-request cache-use c
  http-response cache-store c
  default_backend b
backend b
  server o 127.0.0.1:{origin_port} maxconn 500
""")
    return lab.launch("haproxy", ["haproxy", "-db", "-f", conf], port, cores)


def start_varnish(lab, origin_port, cores="0"):
    """With hitch before it for TLS, which counts as a part of it."""
    port, here = free_port(), lab.path("varnish")
    os.makedirs(here)
    vcl = lab.write("varnish/v.vcl", f"""
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{origin_port}"; .max_connections = 500; }}
sub vcl_backend_response {{ set beresp.do_stream = true; set beresp.do_gzip = false; }}
""")
    hitch = lab.write("varnish/hitch.conf", f"""
frontend = {{ host = "127.0.0.1" port = "{port}" }}
backend = "{here}/socket"
pem-file = "{both_files(lab)}"
alpn-protos = "h2, http/1.1"
tls-protos = TLSv1.3
ciphersuites = "TLS_AES_128_GCM_SHA256"
ecdh-curve = "X25519"
workers = 1
backlog = 4096
keepalive = 300
write-proxy-v2 = on
user = "nobody"
group = "nogroup"
daemon = off
quiet = on
syslog = off
""")
    varnish = (f"varnishd -F -j none -n {here}/n -a u={here}/socket,PROXY,mode=666 -f {vcl} -s malloc,3G -T none "
               "-p feature=+http2 -p thread_pools=1 -p thread_pool_min=300 -p thread_pool_max=3000 "
               "-p timeout_idle=300 -p h2_max_concurrent_streams=256 -p fetch_chunksize=256k -p listen_depth=4096")
    command = f"{varnish} & while [ ! -S {here}/socket ]; do sleep .1; done; exec hitch --config={hitch}"
    return lab.launch("varnish", ["sh", "-c", command], port, cores)
