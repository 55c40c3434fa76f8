"""Debian's pip takes a wheel and an sdist from an index behind a repository of format pypi."""
import json

import pytest

from support.edge import wait_until
from support.origin import Answer, Origin
from support.pypi import JSON, PAGE, File, Index, Pip, make_wheel, sha256

PROGRAMS = ("pip", "curl")


@pytest.fixture
def make_pypi(make_edge, tmp_path):
    """make_pypi(index, text): an edge in front of the index, and a pip."""
    def make(index, text="proxy_cache_valid 200 1h;"):
        edge = make_edge("location /pypi/ { repository wheels; }",
                         http=f"repository wheels {{ format pypi; proxy_pass {index.origin.url}; {text} }}")
        edge.write_conf(locations=f"location /pypi/ {{ repository wheels; public_url {edge.url('/pypi')}; }}")
        edge.start()
        return edge, Pip(tmp_path, edge)

    return make


@pytest.fixture
def other():
    origin = Origin()
    yield origin
    origin.close()


def asked(origin, path):
    return len(origin.gets(path))


def page_files(edge):
    page = json.loads(edge.fetch("/pypi" + PAGE, fields={"Accept": JSON}).body)
    return {file["filename"]: file for file in page["files"]}


# -- downloads --

@pytest.mark.parametrize("forms", [("json", "html"), ("html",)], ids=["json", "html"])
def test_pip_downloads_a_wheel_and_an_sdist_and_again_with_the_index_dead(make_pypi, origin, forms):
    index = Index(origin, forms=forms)
    edge, pip = make_pypi(index)
    for i, file in enumerate(index.files.values()):
        pip.download_file(f"cold{i}", file)
    edge.wait_idle()
    for path in (PAGE, *(file.url for file in index.files.values())):
        assert asked(origin, path) == 1, origin.summary()
    origin.kill()
    for i, file in enumerate(index.files.values()):
        pip.download_file(f"dead{i}", file)


def test_both_forms_of_a_page_name_files_of_the_edge(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    for _ in range(2):
        html = edge.fetch("/pypi" + PAGE, fields={"Accept": "text/html"})
        assert (html.status, html.fields["content-type"]) == (200, "text/html")
        page = edge.fetch("/pypi" + PAGE, fields={"Accept": JSON})
        assert (page.status, page.fields["content-type"]) == (200, JSON)
        found = {file["filename"]: file["url"] for file in json.loads(page.body)["files"]}
        for name, file in index.files.items():
            url = edge.url(f"/pypi/files/tiny-thing/{name}")
            assert found[name] == url
            assert f'{url}#sha256={sha256(file.data)}' in html.body.decode()
        edge.wait_idle()
        origin.kill()


def test_a_corrupted_wheel_is_refused_and_the_right_one_taken_then(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index)
    wheel, resource = index.wheel, origin.resources[index.wheel.url]
    resource.data = wheel.data[:200] + b"?" + wheel.data[201:]
    resource.etag = '"bad"'
    said = pip.download("bad", "tiny-thing==1.0", sha256(wheel.data))
    assert isinstance(said, str) and "ERROR" in said, said
    got = edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}")
    assert got.body != resource.data and (got.status == 502 or not got.complete)
    edge.wait_idle()
    resource.data, resource.etag = wheel.data, '"good"'
    edge.reload()
    pip.download_file("good", wheel)


# -- other hosts --

def test_files_of_a_host_that_is_allowed(make_pypi, origin, other):
    index = Index(origin, other)
    edge, pip = make_pypi(index, f"proxy_cache_valid 200 1h; file_hosts 127.0.0.1:{other.port};")
    pip.download_file("cold", index.wheel)
    edge.wait_idle()
    assert [request.target for request in other.requests] == [f"/packages/{index.wheel.name}"]
    other.kill()
    origin.kill()
    assert edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}").body == index.wheel.data


def test_files_of_a_host_that_is_not_allowed(make_pypi, origin, other):
    index = Index(origin, other)
    edge, pip = make_pypi(index)
    said = pip.download("refused", "tiny-thing==1.0", sha256(index.wheel.data))
    assert isinstance(said, str), said
    got = edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}")
    assert got.status == 502 and "file_hosts" in json.loads(got.body)["detail"]
    assert other.requests == []


# -- parts and metadata --

def test_metadata_is_had_without_the_wheel(make_pypi, origin):
    """PEP 658."""
    index = Index(origin)
    edge, _ = make_pypi(index)
    url = page_files(edge)[index.wheel.name]["url"]
    assert url == edge.url(f"/pypi/files/tiny-thing/{index.wheel.name}")
    path = f"/pypi/files/tiny-thing/{index.wheel.name}"
    for _ in range(2):
        got = edge.fetch(path + ".metadata")
        assert (got.status, got.body) == (200, index.wheel.metadata)
        edge.wait_idle()
        assert asked(origin, index.wheel.url) == 0
        origin.kill()
    origin.restart()
    assert edge.fetch("/pypi/files/tiny-thing/tiny_thing-1.1.tar.gz.metadata").status == 404


def test_metadata_of_another_hash_is_refused(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    origin.resources[index.wheel.url + ".metadata"].data = b"Name: other\n"
    got = edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}.metadata")
    assert b"Name: other" not in got.body and (got.status == 502 or not got.complete)


def test_the_directory_of_a_wheel_is_read_by_ranges(make_pypi, origin):
    index = Index(origin)
    data, metadata = make_wheel("3.0", size=4 << 20)
    large = File("tiny_thing-3.0-py3-none-any.whl", data, metadata)
    index.add(large)
    edge, _ = make_pypi(index)
    path = f"/pypi/files/tiny-thing/{large.name}"
    head = edge.fetch(path, method="HEAD").fields  # of the origin, which says nothing of ranges
    assert (int(head["content-length"]), head["accept-ranges"]) == (len(data), "bytes")
    for text, part in (("bytes=-1000", data[-1000:]), ("bytes=0-99", data[:100]), ("bytes=5000000-", data[5000000:])):
        got = edge.fetch(path, fields={"Range": text})
        assert (got.status, got.body) == (206, part), text
    edge.wait_idle()
    assert edge.fetch(path).body == data
    edge.wait_idle()
    origin.kill()
    got = edge.fetch(path, fields={"Range": "bytes=-10"})
    assert (got.status, got.body) == (206, data[-10:])


def add_one_that_cannot_be_had(index):
    """A large newest version, which needs what the index does not have."""
    data, metadata = make_wheel("3.0", size=6 << 20, requires="absent-thing")
    wheel = File("tiny_thing-3.0-py3-none-any.whl", data, metadata)
    index.add(wheel)
    return wheel


@pytest.mark.parametrize("metadata", ["ranges", "PEP 658"])
def test_pip_finds_out_what_a_large_wheel_needs_without_having_it(make_pypi, origin, metadata):
    """It reads the wheel's directory from its end, or its metadata beside it, and takes an older version."""
    by_ranges = metadata == "ranges"
    index = Index(origin, forms=("json",) if by_ranges else ("html",))
    large = add_one_that_cannot_be_had(index)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1h; slice 1m;")
    options = ("--only-binary", ":all:", *(("--use-feature", "fast-deps") if by_ranges else ()))
    for round_ in ("cold", "dead"):
        got = pip.download(round_, "tiny-thing", options=options)
        assert got == {index.wheel.name: index.wheel.data}, got
        edge.wait_idle()
        if round_ == "cold":
            asked_large = origin.gets(large.url)
            origin.kill()
    assert asked(origin, large.url + ".metadata") == (0 if by_ranges else 1)
    assert all(request.range() for request in asked_large), origin.summary()
    assert sum(request.body_sent for request in asked_large) <= (2 << 20 if by_ranges else 0)
    edge.stop()
    answers = [line["status"] for line in edge.access_log()
               if line["request"].startswith("GET") and f"/{large.name} " in line["request"]]
    assert set(answers) == ({206} if by_ranges else set()), answers


# -- what changes --

def test_a_new_version_is_seen_after_the_lifetime_of_the_page_and_not_before(make_pypi, origin):
    index = Index(origin)
    long_edge, _ = make_pypi(index)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    known = sorted(index.files)
    assert sorted(page_files(edge)) == sorted(page_files(long_edge)) == known
    wheel, metadata = make_wheel("2.0")
    newer = File("tiny_thing-2.0-py3-none-any.whl", wheel, metadata)
    index.add(newer)
    wait_until(lambda: newer.name in page_files(edge), "the new version to be seen")
    pip.download_file("newer", newer)
    assert sorted(page_files(long_edge)) == known


def test_a_yanked_version_is_passed_over_but_served_by_name(make_pypi, origin):
    index = Index(origin)
    wheel, metadata = make_wheel("2.0")
    bad = File("tiny_thing-2.0-py3-none-any.whl", wheel, metadata)
    index.add(bad)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    assert pip.download("before", "tiny-thing") == {bad.name: bad.data}
    bad.yanked = "it breaks"
    index.publish()
    wait_until(lambda: page_files(edge)[bad.name].get("yanked") == "it breaks", "the yanked version to be seen")
    assert 'data-yanked="it breaks"' in edge.fetch("/pypi" + PAGE).body.decode()
    got = pip.download("after", "tiny-thing")
    assert list(got) == ["tiny_thing-1.1.tar.gz"], got
    pip.download_file("by version", bad)


def test_a_removed_file_is_served_where_it_is_stored(make_pypi, origin):
    """What a lock file names must not vanish."""
    index = Index(origin)
    edge, _ = make_pypi(index, "proxy_cache_valid 200 1s;")
    wheel, sdist = index.wheel, index.files["tiny_thing-1.1.tar.gz"]
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    edge.wait_idle()
    index.remove(wheel.name)
    index.remove(sdist.name)
    wait_until(lambda: page_files(edge) == {}, "the removal to be seen")
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    got = edge.fetch(f"/pypi/files/tiny-thing/{sdist.name}")
    assert (got.status, json.loads(got.body)["error"]) == (404, "not-found")
    del origin.resources[PAGE]
    wait_until(lambda: edge.fetch("/pypi" + PAGE).status == 404, "the project to be gone")
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    assert edge.fetch(f"/pypi/files/tiny-thing/{sdist.name}").status == 404
    origin.kill()
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data


def test_a_replaced_file_is_taken_anew_where_the_page_says_so(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    wheel = index.wheel
    assert edge.fetch(f"/pypi/files/tiny-thing/{wheel.name}").body == wheel.data
    edge.wait_idle()
    assert edge.metrics()["pins_replaced_total"] == 0
    data, metadata = make_wheel("1.0", size=2000)
    index.add(File(wheel.name, data, metadata))
    origin.resources[wheel.url].etag = '"v2"'
    wait_until(lambda: page_files(edge)[wheel.name]["hashes"]["sha256"] == sha256(data), "the new page")
    pip.download_file("after", index.wheel)
    edge.wait_metric("pins_replaced_total", lambda value: value == 1)
    edge.wait_log(rf"\[error\] .*/files/tiny-thing/{wheel.name}: the upstream published other bytes under this version: "
                  rf"sha256:{sha256(wheel.data)} was pinned, sha256:{sha256(data)} is named now")


# -- troubles --

def test_without_index_and_storage_nothing_is_said_to_be_absent(make_pypi, origin):
    index = Index(origin)
    edge, _ = make_pypi(index)
    origin.kill()
    for path in (PAGE, f"/files/tiny-thing/{index.wheel.name}"):
        assert edge.fetch("/pypi" + path).status == 502, path


def test_an_index_in_trouble_breaks_nothing_that_is_stored(make_pypi, origin):
    index = Index(origin)
    edge, pip = make_pypi(index, "proxy_cache_valid 200 1s;")
    assert edge.fetch(f"/pypi/files/tiny-thing/{index.wheel.name}").body == index.wheel.data
    edge.wait_idle()
    for status in (503, 429):
        before = asked(origin, PAGE)
        origin.resources[PAGE].tamper = lambda answer, request, n, status=status: Answer(status, {}, b"not now\n")
        wait_until(lambda: page_files(edge) and asked(origin, PAGE) > before, "the page to be validated")
        pip.download_file(f"after {status}", index.wheel)


def test_a_malformed_page_is_told_apart_from_an_absent_one(make_pypi, origin):
    edge, _ = make_pypi(Index(origin))
    origin.add(PAGE, b"{", fields={"Content-Type": JSON})
    got = edge.fetch("/pypi" + PAGE, fields={"Accept": JSON})
    assert (got.status, json.loads(got.body)["error"]) == (502, "malformed-index")
    got = edge.fetch("/pypi/simple/nothing/", fields={"Accept": JSON})
    assert (got.status, json.loads(got.body)["error"]) == (404, "not-found")


def test_other_spellings_of_a_project_lead_to_its_page(make_pypi, origin):
    edge, _ = make_pypi(Index(origin))
    got = edge.fetch("/pypi/simple/Tiny_Thing/")
    assert (got.status, got.fields["location"]) == (301, edge.url("/pypi" + PAGE))
