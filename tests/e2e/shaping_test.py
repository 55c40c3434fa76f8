"""What of an upstream's fields comes to clients: proxy_hide_header, proxy_pass_header, proxy_redirect; of what is stored
and of what passes."""
import pytest

LOCATIONS = ["", "proxy_cache off;"]


def redirect(origin, path, location, status=302, field="Location", **fields):
    resource = origin.add(path, data=b"moved")
    resource.tamper = lambda answer, request, n: (
        setattr(answer, "status", status), answer.fields.update({field: location, "Cache-Control": "max-age=100", **fields}))


@pytest.mark.parametrize("cache", LOCATIONS, ids=["stored", "passed"])
def test_what_is_hidden_comes_to_nobody_and_what_is_passed_is_not_hidden(make_edge, origin, cache):
    origin.add("/x", data=b"x", fields={"X-A": "1", "X-B": "2", "X-C": "3"})
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; proxy_hide_header X-A; proxy_hide_header x-b;"
                     f" proxy_pass_header X-B; {cache} }}").start()
    for _ in range(2):
        fields = edge.fetch("/x").fields
        assert ("x-a" in fields, fields["x-b"], fields["x-c"]) == (False, "2", "3")


# nginx's documentation of proxy_redirect, example by example: {0} is the upstream.
REDIRECTS = {
    "default, the location's own path": (
        "location /one/ {{ proxy_pass {0}/two/; {1} }}", "/one/a", "/two/a", "{0}/two/some/uri/", "/one/some/uri/"),
    "default, spelt out": (
        "location /one/ {{ proxy_pass {0}/two/; proxy_redirect default; {1} }}", "/one/a", "/two/a", "{0}/two/x", "/one/x"),
    "default, of a proxy_pass without a URI": (
        "location /one/ {{ proxy_pass {0}; {1} }}", "/one/a", "/one/a", "{0}/some/uri", "/some/uri"),
    "off": (
        "location /one/ {{ proxy_pass {0}/two/; proxy_redirect off; {1} }}", "/one/a", "/two/a", "{0}/two/x", "{0}/two/x"),
    "another prefix": (
        "location / {{ proxy_pass {0}; proxy_redirect http://localhost:8000/two/ http://frontend/one/; {1} }}",
        "/a", "/a", "http://localhost:8000/two/some/uri/", "http://frontend/one/some/uri/"),
    "to a path": (
        "location / {{ proxy_pass {0}; proxy_redirect http://localhost:8000/two/ /; {1} }}",
        "/a", "/a", "http://localhost:8000/two/x", "/x"),
    "variables": (
        "location / {{ proxy_pass {0}; proxy_redirect http://localhost:8000/ $scheme://$http_host/; {1} }}",
        "/a", "/a", "http://localhost:8000/x", "https://{2}/x"),
    "an expression": (
        "location / {{ proxy_pass {0}; proxy_redirect ~^(http://[^:]+):\\d+(/.+)$ $1$2; {1} }}",
        "/a", "/a", "http://example.com:8000/b/c", "http://example.com/b/c"),
    "an expression that knows no case": (
        "location / {{ proxy_pass {0}; proxy_redirect ~*/user/([^/]+)/(.+)$ http://$1.example.com/$2; {1} }}",
        "/a", "/a", "http://x/USER/ann/b", "http://ann.example.com/b"),
    "several, the first that fits": (
        "location / {{ proxy_pass {0}; proxy_redirect default; proxy_redirect http://localhost:8000/ /; "
        "proxy_redirect http://www.example.com/ /no/; proxy_redirect http://www.example.com/ /; {1} }}",
        "/a", "/a", "http://www.example.com/x", "/no/x"),
    "another host stays": (
        "location / {{ proxy_pass {0}; {1} }}", "/a", "/a", "http://elsewhere.example/x", "http://elsewhere.example/x"),
}


@pytest.mark.parametrize("cache", LOCATIONS, ids=["stored", "passed"])
@pytest.mark.parametrize("case", REDIRECTS)
def test_redirects_by_the_examples_of_nginxs_documentation(make_edge, origin, case, cache):
    location, asked, upstream, told, expected = REDIRECTS[case]
    redirect(origin, upstream, told.format(origin.url))
    edge = make_edge(location.format(origin.url, cache)).start()
    for _ in range(2):
        response = edge.fetch(asked)
        authority = edge.url("/").split("/")[2]
        assert (response.status, response.fields["location"]) == (302, expected.format(origin.url, "", authority))


def test_a_refresh_is_redirected_too(make_edge, origin):
    origin.add("/x", data=b"x", fields={"Refresh": f"5; URL={origin.url}/next"})
    edge = make_edge(f"location / {{ proxy_pass {origin.url}; }}").start()
    assert [edge.fetch("/x").fields["refresh"] for _ in range(2)] == 2 * ["5; URL=/next"]


def test_what_two_locations_share_is_shaped_by_each(make_edge, origin):
    origin.add("/x", data=b"x", fields={"X-A": "1", "Cache-Control": "max-age=100"})
    edge = make_edge(f"location = /x {{ proxy_pass {origin.url}; proxy_cache_key same; }} location /y/ {{ proxy_pass"
                     f" {origin.url}/; proxy_cache_key same; proxy_hide_header X-A; }}").start()
    for _ in range(2):
        assert "x-a" in edge.fetch("/x").fields and "x-a" not in edge.fetch("/y/x").fields
    assert len(origin.requests) == 1
