"""Which location and which server answer, and what they make of a path: nginx's order, captures, alias, names."""
import os
import subprocess

from support.edge import free_port


def put(edge, path, text):
    full = os.path.join(edge.folder, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as file:
        file.write(text)


def answers(edge, table, **options):
    got = {path: edge.fetch(path, **options) for path in table}
    assert {path: (response.status, response.body.decode()) for path, response in got.items()} == table


def test_the_example_of_nginxs_documentation_of_location(make_edge):
    edge = make_edge("""
        location = / { return 200 A; }
        location / { return 200 B; }
        location /documents/ { return 200 C; }
        location ^~ /images/ { return 200 D; }
        location ~* \\.(gif|jpg|jpeg)$ { return 200 E; }""").start()
    answers(edge, {"/": (200, "A"), "/index.html": (200, "B"), "/documents/document.html": (200, "C"),
                   "/images/1.gif": (200, "D"), "/documents/1.jpg": (200, "E"), "/documents/1.JPG": (200, "E")})


def test_expressions_in_order_and_those_within_the_prefix_first(make_edge):
    edge = make_edge("""
        location /a/ { return 200 prefix; location ~ \\.x$ { return 200 nested; } location = /a/e.y { return 200 exact; } }
        location ~ \\.x$ { return 200 first; }
        location ~ ^/b/ { location ~ deep { return 200 deep; } return 200 b; }
        location ~ \\.(x|y)$ { return 200 second; }
        location ^~ /a/strong/ { return 200 strong; }""").start()
    answers(edge, {"/a/q": (200, "prefix"), "/a/q.x": (200, "nested"), "/a/q.y": (200, "second"),
                   "/a/e.y": (200, "exact"), "/q.x": (200, "first"), "/b/deep.y": (200, "deep"), "/b/q.y": (200, "b"),
                   "/a/strong/q.x": (200, "strong")})


def test_captures_in_all_that_takes_variables(make_edge, origin):
    origin.add("/y/z%20w?a=1", data=b"from upstream", fields={"Cache-Control": "max-age=60"})
    edge = make_edge(f"""
        location ~ ^/(?<lang>en|de)/(\\w+)$ {{ add_header x-lang $lang; return 200 "$2 $lang $1"; }}
        location ~ ^/x/(?<rest>.*)$ {{
            proxy_pass {origin.url}/y/$1$is_args$args; proxy_set_header X-Rest $rest; proxy_cache_key k-$rest-$args; }}
        location /plain/ {{ proxy_pass {origin.url}$request_uri; }}""").start()
    english = edge.fetch("/en/page")
    assert (english.body, english.fields["x-lang"]) == (b"page en en", "en")
    for path in ("/x/z%20w?a=1", "/x/./z%20w?a=1"):
        assert edge.fetch(path).body == b"from upstream"
        edge.wait_idle()
    assert [(r.target, r.fields["x-rest"]) for r in origin.requests] == [("/y/z%20w?a=1", "z w")]
    edge.fetch("/plain/a%2Fb?c=%20")
    assert origin.requests[-1].target == "/plain/a%2Fb?c=%20"


def test_a_capture_does_not_climb_out_of_the_uri(make_edge, origin):
    edge = make_edge(f"location ~ ^/x/(.*)b$ {{ proxy_pass {origin.url}/y/z/$1/q; }}").start()
    assert edge.fetch("/x/..b").status == 400
    edge.fetch("/x/a%3Fcb")
    assert [r.target for r in origin.requests] == ["/y/z/a%3Fc/q"]


def test_alias_and_root_with_variables(make_edge):
    edge = make_edge("""
        default_type text/plain;
        location /i/ { alias data/w3/images/; }
        location ~ ^/users/(.+\\.(?:gif|jpe?g|png))$ { alias data/users/$1; }
        location = /one { alias data/w3/one.txt; }
        location /by-name/ { root data/$host; }
        location /by-arg/ { root data/hosts/$arg_host; }""")
    for path, text in (("data/w3/images/top.gif", "top"), ("data/users/a/b.png", "b"), ("data/w3/one.txt", "one"),
                       ("data/localhost/by-name/f", "f"), ("data/by-arg/secret", "secret")):
        put(edge, path, text)
    edge.start()
    answers(edge, {"/i/top.gif": (200, "top"), "/users/a/b.png": (200, "b"), "/one": (200, "one"),
                   "/by-name/f": (200, "f")})
    assert edge.fetch("/i/none").status == 404
    assert edge.fetch("/by-arg/secret?host=..").status == 404  # never out of what stands before the variable
    assert edge.fetch("/users/../w3/one.png").status == 404


def test_a_location_of_just_the_path_comes_before_a_folder_without_its_slash(make_edge, origin):
    edge = make_edge(f"location /a {{ return 200 own; }} location /a/ {{ proxy_pass {origin.url}; }}").start()
    answers(edge, {"/a": (200, "own")})


def test_a_proxied_folder_is_found_without_its_slash(make_edge, origin):
    origin.add("/d/", data=b"folder")
    edge = make_edge(f"""
        location / {{ return 200 all; }}
        location /d/ {{ proxy_pass {origin.url}; }}
        location /e/ {{ proxy_pass {origin.url}; }}
        location = /e {{ return 200 exact; }}
        location /f/ {{ return 200 f; }}
        location = /g/ {{ proxy_pass {origin.url}; }}
        location /h%i/ {{ proxy_pass {origin.url}; }}""").start()
    for path, leads_to in (("/d", "/d/"), ("/g", "/g/"), ("/d?a=1", "/d/?a=1"), ("/d?", "/d/"), ("/%64", "/d/"),
                           ("/x/../d", "/d/"), ("/h%25i", "/h%25i/")):
        moved = edge.fetch(path)
        assert (moved.status, moved.fields.get("location")) == (301, leads_to), path
    answers(edge, {"/d/": (200, "folder"), "/e": (200, "exact"), "/f": (200, "all")})


def test_of_two_folders_that_lack_a_slash_the_exact_one_answers(make_edge, origin):
    edge = make_edge(f"""
        location = /a/ {{ add_header x-is exact always; return 200 a; }}
        location /a/ {{ add_header x-is prefix always; proxy_pass {origin.url}; }}
        location /b/ {{ add_header x-is prefix always; proxy_pass {origin.url}; }}
        location = /b/ {{ internal; }}""").start()
    moved = edge.fetch("/a")
    assert (moved.status, moved.fields.get("location"), moved.fields["x-is"]) == (301, "/a/", "exact")
    assert edge.fetch("/b").status == 404


def test_what_stands_in_an_internal_location_is_internal(make_edge, origin):
    edge = make_edge(f"""
        location / {{ return 200 open; }}
        location /in/ {{
            location /in/a {{ return 200 a; location = /in/a/b {{ proxy_pass {origin.url}; }} }}
            location ~ x$ {{ return 200 x; }}
            internal;
        }}
        location /error {{ error_page 404 =200 /in/a; return 404; }}""").start()
    for path in ("/in/", "/in/a", "/in/a/b", "/in/x"):
        assert edge.fetch(path).status == 404, path
    answers(edge, {"/in": (200, "open"), "/error": (200, "a")})
    assert not origin.requests


def test_what_names_no_path_is_in_no_internal_location(make_edge):
    edge = make_edge("location / { internal; }").start()
    assert edge.fetch("/a").status == 404
    server = edge.http1()
    server.send("GET /../a HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert server.response()[0] == 400
    server.send("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert server.response()[0] == 200
    server.close()


def test_an_expression_that_takes_too_long_is_an_error_and_not_another_location(make_edge):
    edge = make_edge("""
        location ~ ^/(a+)+$ { return 403; }
        location / { return 200 open; }""").start()
    response = edge.fetch("/" + "a" * 40 + "b")
    assert response.status == 500 and b"too-costly" in response.body
    assert edge.fetch("/b").body == b"open"


def test_server_names_in_nginxs_order(make_edge):
    edge = make_edge("return 200 default;")
    edge.write_conf(http="\n".join(
        f"server {{ listen 127.0.0.1:{edge.clear_port}; server_name {names}; return 200 '{text}'; }}"
        for names, text in (("first.example", "default"), ("~^(?<user>\\w+)\\.x\\.example$", "user $user $1"),
                            ("~.*\\.a\\.example$", "never"), ("a.example", "exact"), ("*.a.example", "front"),
                            ("www.a.*", "back"))))
    edge.start()
    for host, name in (("a.example", "exact"), ("b.a.example", "front"), ("www.a.org", "back"), ("other", "default"),
                       ("user.x.example", "user user user"), ("USER.x.example:80", "user user user")):
        connection = edge.http1(tls=False)
        connection.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert connection.response()[2] == name.encode(), host
        connection.close()


def test_the_slash_that_a_folder_lacks_leads_to_no_other_host(make_edge, origin):
    edge = make_edge(f"location /api/ {{ proxy_pass {origin.url}; }}").start()
    for target in ("//evil.example/..%2fapi", "///api"):
        moved = edge.fetch(target, version="1.1")
        assert moved.status == 301 and moved.fields["location"].startswith("/")
        assert not moved.fields["location"].startswith("//")


def test_hosts_and_listeners_in_turn_lead_each_to_its_own_server(make_edge):
    """On one worker, which knows the last one's."""
    other = free_port()
    edge = make_edge("location / { return 200 first; }", workers=1, http=f"""
        server {{ listen 127.0.0.1:{other}; server_name same.test; location / {{ return 200 other-listener; }} }}
        server {{ listen 127.0.0.1:{other}; server_name b.test; location / {{ return 200 b; }} }}""").start()

    def ask(port, host):
        command = ["curl", "-sS", "-H", f"Host: {host}", f"http://127.0.0.1:{port}/"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    for _ in range(3):
        assert ask(edge.clear_port, "same.test") == "first"
        assert ask(other, "same.test") == "other-listener"
        assert ask(other, "B.Test.") == "b"
        assert ask(other, "same.test:80") == "other-listener"
