"""error_page: what is answered in place of an error."""
import os


def put(edge, path, text):
    full = os.path.join(edge.folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)


def told(response):
    return response.status, response.body.decode()


def test_pages_of_this_machine_with_the_status_that_they_stand_for(make_edge, origin):
    dead = origin.url.rsplit(":", 1)[0] + ":1"
    edge = make_edge(f"""
        root pages;
        error_page 404 /404.html;
        error_page 500 502 503 504 /50x.html;
        error_page 403 =200 /empty.gif;
        location /dead {{ proxy_pass {dead}; }}
        location /forbidden {{ return 403; }}
        location /said {{ return 404 "in words"; }}
        location = /404.html {{ internal; }}""")
    put(edge, "pages/404.html", "nothing here")
    put(edge, "pages/50x.html", "out of order")
    put(edge, "pages/empty.gif", "GIF")
    edge.start()
    assert told(edge.fetch("/none")) == (404, "nothing here")
    assert told(edge.fetch("/none", fields={"Range": "bytes=0-3", "If-None-Match": "*"})) == (404, "nothing here")
    head = edge.fetch("/none", method="HEAD")
    assert (head.status, head.body, head.fields["content-length"]) == (404, b"", "12")
    assert told(edge.fetch("/dead")) == (502, "out of order")
    assert told(edge.fetch("/forbidden")) == (200, "GIF")
    assert told(edge.fetch("/said")) == (404, "in words")
    for method in ("GET", "OPTIONS", "POST"):  # internal: not for clients, but for itself
        assert told(edge.fetch("/404.html", method=method)) == (404, "nothing here"), method


def test_a_fallback_upstream_keeps_method_and_target(make_edge, origin):
    origin.add("/app/x", data=b"fallback", fields={"Cache-Control": "max-age=60"})
    dead = origin.url.rsplit(":", 1)[0] + ":1"
    edge = make_edge(f"""
        location /app/ {{ proxy_pass {dead}; error_page 502 504 = @fallback; }}
        location /kept/ {{ proxy_pass {dead}/app/; error_page 502 @kept; }}
        location @fallback {{ proxy_pass {origin.url}; }}
        location @kept {{ return 200 kept; }}""").start()
    for _ in range(2):
        assert edge.fetch("/app/none").status == 404
        assert told(edge.fetch("/app/x")) == (200, "fallback")
        edge.wait_idle()
    assert [r.target for r in origin.requests].count("/app/x") == 1, "the fallback caches as any location"
    assert told(edge.fetch("/kept/x")) == (502, "kept")


def test_answers_of_the_upstream_where_it_is_said(make_edge, origin):
    origin.add("/gone", data=b"the upstream's own")
    origin.resources["/gone"].tamper = lambda answer, request, n: setattr(answer, "status", 410)
    edge = make_edge(f"""
        location / {{ proxy_pass {origin.url}; error_page 404 410 /sorry; }}
        location /x/ {{ proxy_pass {origin.url}/; error_page 404 410 /sorry; proxy_intercept_errors on;
                       proxy_cache_valid any 1h; }}
        location = /sorry {{ return 200 sorry; }}""").start()
    assert edge.fetch("/none").status == 404
    assert edge.fetch("/none").body != b"sorry"
    for _ in range(2):
        assert told(edge.fetch("/x/none")) == (404, "sorry")
        edge.wait_idle()
    assert told(edge.fetch("/x/gone")) == (410, "sorry")


def test_redirects_and_empty_answers(make_edge):
    edge = make_edge("""
        error_page 404 http://example.com/notfound$request_uri;
        error_page 403 =301 https://example.com/;
        error_page 410 =204 /nowhere;
        location /403 { return 403; }
        location /410 { return 410; }""").start()
    moved = edge.fetch("/a?b")
    assert (moved.status, moved.fields["location"]) == (302, "http://example.com/notfound/a?b")
    assert (edge.fetch("/403").status, edge.fetch("/403").fields["location"]) == (301, "https://example.com/")
    gone = edge.fetch("/410")
    assert (gone.status, gone.body) == (204, b"") and "content-length" not in gone.fields


def test_recursion_only_where_it_is_asked_for_and_never_for_ever(make_edge):
    edge = make_edge("""
        location /once { error_page 404 /b; return 404; }
        location /b { error_page 403 /c; return 403; }
        location /more { recursive_error_pages on; error_page 404 /d; return 404; }
        location /d { recursive_error_pages on; error_page 403 = /c; return 403; }
        location /c { return 200 c; }
        location /ring { recursive_error_pages on; error_page 404 /ring; return 404; }
        location /lost { error_page 404 @nobody; return 404; }""").start()
    assert edge.fetch("/once").status == 403
    assert told(edge.fetch("/more")) == (200, "c")
    assert edge.fetch("/ring").status == 404
    lost = edge.fetch("/lost")
    assert lost.status == 500 and b"error-page" in lost.body
    assert edge.fetch("/c").body == b"c"


def test_a_post_becomes_a_get_for_a_page_and_logs_what_was_asked(make_edge):
    edge = make_edge("""
        error_page 404 /page;
        location /page { return 200 "$request_method $uri $request_uri"; }
        location /none { return 404; }""").start()
    assert told(edge.fetch("/none", method="POST")) == (404, "GET /page /none")


def test_content_goes_on_to_a_fallback_whole_or_not_at_all(make_edge, origin, tmp_path):
    """What an upstream has taken of it cannot be had again: then the error itself is answered."""
    origin.add("/app", data=b"fallback")
    refusing = origin.add("/refusing", data=b"no")
    refusing.tamper = lambda answer, request, n: setattr(answer, "status", 503)
    dead = origin.url.rsplit(":", 1)[0] + ":1"
    edge = make_edge(f"""
        client_max_body_size 10m;
        location /app {{ proxy_pass {dead}; error_page 502 = @fallback; }}
        location /refusing {{ proxy_pass {origin.url}; proxy_intercept_errors on; error_page 503 = @fallback; }}
        location /paged {{ proxy_pass {origin.url}/refusing; proxy_intercept_errors on; error_page 503 = /app/page; }}
        location = /app/page {{ proxy_pass {origin.url}/app; }}
        location @fallback {{ proxy_pass {origin.url}; }}""").start()
    content = bytes(range(256)) * 4096
    (tmp_path / "content").write_bytes(content)

    def post(path):
        return edge.fetch(path, method="POST", curl=["--data-binary", f"@{tmp_path}/content"])

    assert told(post("/app")) == (200, "fallback")
    assert (origin.requests[-1].method, origin.requests[-1].body) == ("POST", content)
    assert post("/refusing").status == 503
    assert [r.target for r in origin.requests] == ["/app", "/refusing"]
    assert told(post("/paged")) == (200, "fallback")
    assert (origin.requests[-1].method, origin.requests[-1].body) == ("GET", b"")


def test_a_page_is_stored_under_its_own_name_and_not_under_what_was_asked_for(make_edge, origin):
    origin.add("/404.html", data=b"sorry", fields={"Cache-Control": "max-age=60"})
    edge = make_edge(f"""
        proxy_intercept_errors on; error_page 404 /404.html;
        location / {{ proxy_pass {origin.url}; }}""").start()
    for _ in range(2):
        assert told(edge.fetch("/missing")) == (404, "sorry")
        edge.wait_idle()
    origin.add("/missing", data=b"here now")
    assert told(edge.fetch("/missing")) == (200, "here now")
    assert told(edge.fetch("/404.html")) == (200, "sorry")
    assert [r.target for r in origin.requests].count("/404.html") == 1


def test_a_proxied_page_comes_whole_whatever_the_client_has_of_what_it_asked_for(make_edge, origin):
    origin.add("/page", data=b"sorry", etag='"v1"')
    edge = make_edge(f"""
        error_page 404 /page;
        location = /page {{ proxy_pass {origin.url}; proxy_cache off; }}""").start()
    for fields in ({"If-None-Match": '"v1"'}, {"Range": "bytes=0-1"}):
        assert told(edge.fetch("/none", fields=fields)) == (404, "sorry")


def test_what_is_passed_to_nobody_goes_to_no_fallback_either(make_edge, origin):
    edge = make_edge(f"""
        error_page 400 405 = @all;
        location @all {{ proxy_pass {origin.url}; }}""").start()
    assert edge.fetch("/x", method="TRACE").status == 405
    assert edge.fetch("/%00", version="1.1").status == 400
    assert origin.requests == []


def test_the_log_of_a_range_that_a_page_answers_speaks_of_no_upstream(make_edge, origin):
    origin.add("/x", data=b"thing", fields={"X-A": "1"})
    edge = make_edge(f"""
        access_log pages.log fields; error_page 416 /page;
        location / {{ proxy_pass {origin.url}; }}
        location = /page {{ return 200 sorry; }}""", http="log_format fields '$uri [$upstream_http_x_a]';").start()
    assert told(edge.fetch("/x", fields={"Range": "bytes=99-"})) == (416, "sorry")
    edge.stop()
    with open(os.path.join(edge.folder, "pages.log"), encoding="utf-8") as log:
        assert log.read() == "/page [-]\n"
