"""Clients that people have, as they come, through a plain location with default settings: whole answers, their heads, ranges
and uploads, byte for byte, in every protocol that each of them speaks."""
import base64
import email
import hashlib
import http.client
import json
import re
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest

from support.origin import made_bytes

PROGRAMS = ("curl", "nghttp", "h2load", "chromium-headless-shell", "python3")
DATA = made_bytes(3_000_000)
UPLOAD = made_bytes(300_000, seed="upload")
RANGES = {"bytes=0-99": DATA[:100], "bytes=-100": DATA[-100:], "bytes=2999000-": DATA[2999000:],
          "bytes=1000000-2000000": DATA[1_000_000:2_000_001]}


@pytest.fixture
def edge(make_edge, origin):
    origin.add("/thing", DATA)
    echo = origin.add("/echo", b"")
    echo.tamper = lambda answer, request, n: setattr(answer, "body", request.body)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}").start()
    edge.upload = f"{edge.folder}/upload"
    with open(edge.upload, "wb") as file:
        file.write(UPLOAD)
    return edge


def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-3000:]
    return done.stdout


def parts_of(content_type, body):
    """Of multipart/byteranges."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return [(part["Content-Range"], part.get_payload(decode=True)) for part in message.get_payload()]


# -- curl --

CURL = {"1.0": ("1.0", True, "1"), "1.1": ("1.1", True, "1.1"), "2": ("2", True, "2"), "1.1 in cleartext": ("1.1", False, "1.1"),
        "2 with prior knowledge": ("2c", False, "2"), "2 by an upgrade, which RFC 9113 has dropped": ("2", False, "1.1")}


@pytest.mark.parametrize("asked, tls, spoken", CURL.values(), ids=CURL)
def test_curl(edge, asked, tls, spoken):
    def fetch(path, **options):
        got = edge.fetch(path, version=asked, tls=tls, **options)
        assert got.complete and (asked == "1.0" or got.version == spoken), (got.version, got.error)
        return got

    for _ in range(2):  # a miss, and a hit
        got = fetch("/thing")
        assert (got.status, got.body == DATA) == (200, True)
    head = fetch("/thing", method="HEAD")
    assert (head.status, head.body, head.fields["content-length"]) == (200, b"", str(len(DATA)))
    for asked_range, part in RANGES.items():
        got = fetch("/thing", fields={"Range": asked_range})
        assert (got.status, got.body == part) == (206, True), asked_range
    several = fetch("/thing", fields={"Range": "bytes=0-9,2000-2009"})
    assert parts_of(several.fields["content-type"], several.body) == [
        ("bytes 0-9/3000000", DATA[:10]), ("bytes 2000-2009/3000000", DATA[2000:2010])]
    posted = fetch("/echo", curl=["--data-binary", f"@{edge.upload}"])
    assert (posted.status, posted.body == UPLOAD) == (200, True)


# -- nghttp2's --

@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "prior knowledge"])
def test_nghttp(edge, tls):
    def fetch(path, *options):
        return run("nghttp", "--no-verify-peer", *options, edge.url(path, tls))

    assert fetch("/thing") == DATA
    assert len(fetch("/thing", "--multiply=5")) == 5 * len(DATA), "bytes of five streams, as they come"
    assert fetch("/thing", "--header=:method: HEAD") == b""
    for asked, part in RANGES.items():
        assert fetch("/thing", f"--header=range: {asked}") == part, asked
    assert fetch("/echo", f"--data={edge.upload}") == UPLOAD


@pytest.mark.parametrize("options, tls", [((), True), ((), False), (("--h1",), True), (("--h1",), False)],
                         ids=["2", "2 with prior knowledge", "1.1", "1.1 in cleartext"])
def test_h2load(edge, options, tls):
    def load(path, count, *more):
        """Bytes of content that came."""
        said = run("h2load", f"--requests={count}", "--clients=4", *options,
                   *(() if "--h1" in options else ("--max-concurrent-streams=10",)), *more, edge.url(path, tls)).decode()
        assert f"{count} succeeded, 0 failed, 0 errored, 0 timeout" in said and f"status codes: {count} 2xx" in said, said
        return int(re.search(r"\((\d+)\) data", said).group(1))

    run("curl", "--silent", "--cacert", edge.ca, "--output", "/dev/null", edge.url("/thing"))
    assert load("/thing", 40) == 40 * len(DATA)
    if "--h1" not in options:  # h2load 1.52 waits for content there, whatever was asked
        assert load("/thing", 40, "--header=:method: HEAD") == 0
    assert load("/thing", 200, "--header=range: bytes=100-1099") == 200 * 1000
    assert load("/echo", 20, f"--data={edge.upload}") == 20 * len(UPLOAD)


# -- Python's --

@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "cleartext"])
def test_pythons_http_client_on_one_connection(edge, tls):
    context = ssl.create_default_context(cafile=edge.ca)
    client = (http.client.HTTPSConnection("localhost", edge.tls_port, context=context, timeout=20) if tls else
              http.client.HTTPConnection("127.0.0.1", edge.clear_port, timeout=20))

    def fetch(method, path, **options):
        client.request(method, path, **options)
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()

    status, fields, body = fetch("GET", "/thing")
    socket = client.sock
    assert (status, body == DATA, fields["Content-Length"]) == (200, True, str(len(DATA)))
    status, fields, body = fetch("HEAD", "/thing")
    assert (status, body, fields["Content-Length"]) == (200, b"", str(len(DATA)))
    for asked, part in RANGES.items():
        status, _, body = fetch("GET", "/thing", headers={"Range": asked})
        assert (status, body == part) == (206, True), asked
    for upload in (UPLOAD, iter([UPLOAD[:7], UPLOAD[7:]])):
        status, _, body = fetch("POST", "/echo", body=upload)
        assert (status, body == UPLOAD) == (200, True)
    assert client.sock is socket, "it was opened once"
    client.close()


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "cleartext"])
def test_pythons_urllib(edge, tls):
    context = ssl.create_default_context(cafile=edge.ca) if tls else None

    def fetch(path, **options):
        with urllib.request.urlopen(urllib.request.Request(edge.url(path, tls), **options), context=context, timeout=20) as got:
            return got.status, got.read()

    assert fetch("/thing") == (200, DATA)
    assert fetch("/thing", method="HEAD") == (200, b"")
    for asked, part in RANGES.items():
        assert fetch("/thing", headers={"Range": asked}) == (206, part), asked
    assert fetch("/echo", data=UPLOAD) == (200, UPLOAD)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch("/nothing")


# -- Chromium --

PAGE = b"""<!DOCTYPE html><title>clients</title><pre id=out></pre><script>
const hex = buffer => [...new Uint8Array(buffer)].map(byte => byte.toString(16).padStart(2, '0')).join('');
async function ask(path, options) {
  const answer = await fetch(path, {cache: 'no-store', ...options});
  const body = await answer.arrayBuffer();
  return [answer.status, body.byteLength, hex(await crypto.subtle.digest('SHA-256', body)),
          answer.headers.get('content-length')];
}
(async () => {
  const found = {};
  try {
    found.whole = await ask('/thing');
    found.head = await ask('/thing', {method: 'HEAD'});
    for (const range of RANGES) found[range] = await ask('/thing', {headers: {Range: range}});
    const upload = new Uint8Array(300000).map((_, i) => i * 7 % 251);
    found.post = await ask('/echo', {method: 'POST', body: upload});
    found.many = (await Promise.all([...Array(30).keys()].map(i => ask('/thing?' + i, {headers: {Range: 'bytes=0-99'}}))))
      .map(one => one[2]);
    found.protocols = [...new Set(performance.getEntriesByType('resource').map(entry => entry.nextHopProtocol))];
  } catch (error) { found.error = String(error); }
  document.getElementById('out').textContent = JSON.stringify(found);
})();
</script>""".replace(b"RANGES", json.dumps(list(RANGES)).encode())


def key_pin(certificate):
    """Chromium trusts this key, and no other that it does not know."""
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


@pytest.mark.parametrize("tls, protocol", [(True, "h2"), (False, "http/1.1")], ids=["TLS", "cleartext"])
def test_chromium(edge, origin, tmp_path, tls, protocol):
    origin.add("/page", PAGE, fields={"Content-Type": "text/html"})
    for i in range(30):
        origin.add(f"/thing?{i}", DATA)
    text = run("chromium-headless-shell", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/chromium",
               f"--ignore-certificate-errors-spki-list={key_pin(edge.ca)}", "--virtual-time-budget=20000", "--dump-dom",
               edge.url("/page", tls)).decode()
    found = json.loads(re.search(r"<pre id=\"out\">(.*)</pre>", text).group(1))
    whole = hashlib.sha256(DATA).hexdigest()
    posted = bytes(i * 7 % 251 for i in range(300_000))
    first = hashlib.sha256(DATA[:100]).hexdigest()
    assert "error" not in found, found
    assert found["whole"] == [200, len(DATA), whole, str(len(DATA))]
    assert found["head"][:2] + found["head"][3:] == [200, 0, str(len(DATA))]
    for asked, part in RANGES.items():
        assert found[asked][:3] == [206, len(part), hashlib.sha256(part).hexdigest()], asked
    assert found["post"][:3] == [200, len(posted), hashlib.sha256(posted).hexdigest()]
    assert found["many"] == [first] * 30
    assert found["protocols"] == [protocol]
