"""What an upstream is told of the client, and what the log says of a request."""
import json
import re

import pytest

from support import client
from support.edge import wait_until
from support.origin import Answer

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seen(make_edge, origin, conf, **fields):
    origin.add("/a", size=10)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; {conf} }}").start()
    assert edge.fetch("/a", fields={name.replace("_", "-"): value for name, value in fields.items()}).status == 200
    return edge, origin.requests[0].fields


@pytest.mark.parametrize("cache", ["edge", "off"])
def test_forwarded_append_puts_us_behind_what_was_said(make_edge, origin, cache):
    edge, fields = seen(make_edge, origin, f"proxy_cache {cache}; forwarded append;", Forwarded="for=192.0.2.1",
                        X_Forwarded_For="192.0.2.1")
    me = f'for=127.0.0.1;host="localhost:{edge.tls_port}";proto=https'
    assert fields["forwarded"] == f"for=192.0.2.1, {me}"
    assert fields["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert (fields["x-forwarded-proto"], fields["x-forwarded-host"]) == ("https", f"localhost:{edge.tls_port}")


def test_forwarded_replace_believes_nobody(make_edge, origin):
    _, fields = seen(make_edge, origin, "forwarded replace; proxy_set_header X-Forwarded-Host set;",
                     Forwarded="for=192.0.2.1", X_Forwarded_For="192.0.2.1", X_Forwarded_Host="evil")
    assert fields["forwarded"].startswith("for=127.0.0.1;") and fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-host"] == "set"


def test_a_fill_tells_nothing_of_the_client_by_default(make_edge, origin):
    _, fields = seen(make_edge, origin, "", Forwarded="for=192.0.2.1", X_Forwarded_For="192.0.2.1")
    assert not {"forwarded", "x-forwarded-for", "x-forwarded-host"} & set(fields)


def test_what_is_told_by_hand_has_the_real_address(make_edge, origin):
    _, fields = seen(make_edge, origin, """set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
        proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Peer $realip_remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;""", X_Forwarded_For="203.0.113.9, 192.0.2.1")
    assert (fields["x-real-ip"], fields["x-peer"]) == ("192.0.2.1", "127.0.0.1")
    assert fields["x-forwarded-for"] == "203.0.113.9, 192.0.2.1, 192.0.2.1"


def test_a_trace_goes_on_to_the_upstream_with_the_fill(make_edge, origin):
    _, fields = seen(make_edge, origin, "", traceparent=TRACE, tracestate="a=b")
    assert (fields["traceparent"], fields["tracestate"]) == (TRACE, "a=b")


def test_the_log_knows_what_nginxs_does(make_edge, origin):
    names = ("remote_addr remote_user request_id trace_id connection connection_requests ssl_protocol ssl_cipher "
             "ssl_server_name server_addr request_length bytes_sent upstream_addr upstream_status upstream_response_time "
             "upstream_cache_status sent_http_etag sent_http_cache_status upstream_http_x_made_by content_type").split()
    log_format = "log_format all escape=json '{" + ",".join(f'"{name}":"${name}"' for name in names) + "}';"
    origin.add("/a", size=10, fields={"X-Made-By": "origin"})
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_cache off; access_log all.log all; }}",
                     http=log_format).start()
    connection = edge.http1()
    for _ in range(2):
        connection.get("/a", traceparent=TRACE, Authorization="Basic YWxpY2U6c2VjcmV0", Content_Type="a/b")
        assert connection.response()[0] == 200
    connection.close()

    def lines():
        text = client.read_file(f"{edge.folder}/all.log").decode()
        return [json.loads(line) for line in text.splitlines()]

    wait_until(lambda: len(lines()) == 2, "two lines of the log")
    one, two = lines()
    assert one["connection"] == two["connection"] and one["request_id"] != two["request_id"]
    assert (one["connection_requests"], two["connection_requests"]) == ("1", "2")
    assert re.fullmatch("[0-9a-f]{32}", one["request_id"])
    assert one["upstream_addr"] == f"127.0.0.1:{origin.port}" and one["upstream_status"] == "200"
    assert re.fullmatch(r"\d+\.\d{3}", one["upstream_response_time"]) and one["upstream_cache_status"] == "BYPASS"
    assert int(one["bytes_sent"]) > 100 and int(one["request_length"]) > 100
    assert one["sent_http_cache_status"] == "entrepot; fwd=bypass; fwd-status=200"
    told = {name: one[name] for name in ("remote_addr", "remote_user", "trace_id", "ssl_protocol", "ssl_server_name",
                                         "server_addr", "sent_http_etag", "upstream_http_x_made_by", "content_type")}
    assert told == {"remote_addr": "127.0.0.1", "remote_user": "alice", "trace_id": TRACE.split("-")[1],
                    "ssl_protocol": "TLSv1.3", "ssl_server_name": "localhost", "server_addr": "127.0.0.1",
                    "sent_http_etag": '"v1"', "upstream_http_x_made_by": "origin", "content_type": "a/b"}
    assert one["ssl_cipher"].startswith("TLS_")


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_what_varies_by_what_the_edge_tells_is_stored_by_that_and_not_by_what_clients_say(make_edge, origin, mode):
    origin.add("/a", data=b"").tamper = lambda answer, request, n: client_answer(request)
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; forwarded {mode}; }}", workers=1,
                     server="server_name one.example two.example;").start()
    for _ in range(3):
        for host in ("one.example", "two.example"):
            got = edge.fetch("/a", version="1.1", fields={"Host": host}, tls=False)
            assert got.body.decode() == f"of {host}"
            edge.wait_idle()
    spoofed = edge.fetch("/a", version="1.1", fields={"Host": "one.example", "X-Forwarded-Host": "two.example"}, tls=False)
    assert spoofed.body == b"of one.example"


def client_answer(request):
    return Answer(200, {"Vary": "X-Forwarded-Host", "Cache-Control": "max-age=60"},
                  b"of " + request.fields["x-forwarded-host"].encode())
