"""The life of the process: starting, refusing to start, reloading, draining, ending."""
import os
import signal
import socket
import threading

import pytest

from support.edge import free_port, make_certificate, wait_until

MIB = 1 << 20


def refused(edge):
    """What it says on stderr when it does not start."""
    result = edge.command()
    assert result.returncode == 1, result.stderr
    return result.stderr


def test_two_edges_on_one_cache_directory_are_one_too_many(edge, make_edge, tmp_path):
    second = make_edge("location / { return 204; }")
    os.symlink(os.path.join(edge.folder, "cache"), os.path.join(second.folder, "cache"))
    said = refused(second)
    assert "in use by another process" in said and "cache" in said
    assert edge.admin("/livez")[0] == 200


def test_a_port_that_is_taken_is_named(make_edge):
    edge = make_edge("location / { return 204; }")
    with socket.create_server(("127.0.0.1", edge.tls_port)):
        said = refused(edge)
    assert f"bind() to 127.0.0.1:{edge.tls_port} failed (98: Address already in use)" in said


def test_a_missing_certificate_is_named_with_its_place(make_edge):
    edge = make_edge("location / { return 204; }")
    edge.ca = os.path.join(edge.folder, "absent.pem")
    edge.write_conf()
    said = refused(edge)
    assert "absent.pem" in said and "edge.conf:" in said and "No such file" in said


def test_a_certificate_that_is_none_is_named(make_edge):
    edge = make_edge("location / { return 204; }")
    edge.ca = os.path.join(edge.folder, "edge.conf")
    edge.write_conf()
    assert "edge.conf" in refused(edge)


def test_a_cache_directory_that_cannot_be_written_is_named(make_edge):
    edge = make_edge("location / { return 204; }")
    with open(os.path.join(edge.folder, "cache"), "w", encoding="ascii"):
        pass  # a file stands where the directory should
    assert os.path.join(edge.folder, "cache") in refused(edge)


BAD = {
    "unknown directive": ("serve_fast on;", 'unknown directive "serve_fast"'),
    "missing semicolon": ("root /srv", 'directive "root" is not terminated by ";"'),
    "wrong place": ("worker_threads 2;", '"worker_threads" directive is not allowed here'),
    "wrong number": ("slice;", 'invalid number of arguments in "slice" directive'),
    "wrong value": ("slice 100k;", "slice"),
    "unknown zone": ("proxy_cache_valid 200 x;", 'invalid time value "x"'),
    "twice": ("root /a; root /b;", '"root" directive is duplicate'),
    "unknown repository": ("location /r/ { repository nothing; }", 'unknown repository "nothing"'),
    "two of one location": ("location /r/ { return 204; } location /r/ { return 204; }",
                            'duplicate location "/r/"'),
}


@pytest.mark.parametrize("what", BAD)
def test_a_conf_that_is_wrong_is_refused_with_its_place(make_edge, what):
    text, message = BAD[what]
    edge = make_edge("location / { return 204; }", server=text)
    for options in ((), ("-t",)):
        result = edge.command(*options)
        assert result.returncode == 1
        assert message in result.stderr and "edge.conf:" in result.stderr and "^" in result.stderr


def test_a_conf_that_is_right_passes_the_test(make_edge):
    edge = make_edge("location / { return 204; }")
    result = edge.command("-t")
    assert result.returncode == 0, result.stderr
    assert "syntax is ok" in result.stderr and "test is successful" in result.stderr
    assert "listen" in edge.command("-T").stdout


def test_a_reload_takes_the_new_conf_and_keeps_running_downloads(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    go_on = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((MIB, go_on))
    running = edge.start_fetch("/big.bin")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == MIB)
    edge.write_conf(locations="location / { return 200 new; }")
    edge.send_signal(signal.SIGHUP)
    edge.wait_log("reconfigured")
    assert edge.fetch("/anything").body == b"new"
    go_on.set()
    assert running.result().sha256 == thing.sha256


def test_a_reload_opens_a_new_port_and_closes_the_old(edge, origin):
    origin.add("/thing", data=b"thing")
    old_port = edge.clear_port
    edge.clear_port = free_port()
    edge.write_conf()
    edge.send_signal(signal.SIGHUP)
    edge.wait_log("reconfigured")
    assert edge.fetch("/thing", tls=False, version="1.1").body == b"thing"

    def is_closed():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", old_port)) != 0

    wait_until(is_closed, "the old port to close")


def test_a_reload_with_a_bad_conf_keeps_the_old(edge, origin):
    origin.add("/thing", data=b"thing")
    edge.write_conf(server="serve_fast on;")
    edge.send_signal(signal.SIGHUP)
    edge.wait_log('unknown directive "serve_fast"')
    assert edge.fetch("/thing").body == b"thing"
    edge.write_conf(server="")


def test_a_reload_takes_a_new_certificate_and_refuses_a_bad_one(edge, origin, tmp_path):
    origin.add("/thing", data=b"thing")
    old = edge.ca
    edge.ca, edge._key = make_certificate(str(tmp_path))
    edge.write_conf()
    edge.send_signal(signal.SIGHUP)
    edge.wait_log("reconfigured")
    assert edge.fetch("/thing").body == b"thing"
    new = edge.ca
    edge.ca = old  # with the other's key
    edge.write_conf()
    edge.send_signal(signal.SIGHUP)
    edge.wait_log("the new configuration was not taken|emerg")
    edge.ca = new
    assert edge.fetch("/thing").body == b"thing"


def test_reloads_under_load_fail_no_request(edge, origin):
    thing = origin.add("/thing.bin", size=300_000)
    edge.fetch("/thing.bin")
    edge.wait_idle()
    stop, failures, count = threading.Event(), [], [0]

    def ask():
        while not stop.is_set():
            response = edge.fetch("/thing.bin", version="1.1")
            count[0] += 1
            if response.body != thing.data:
                failures.append(response)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(10):
        edge.write_conf(server="serve_fast on;" if i % 2 else "")
        edge.send_signal(signal.SIGHUP)
        word = "reconfigured" if i % 2 == 0 else "serve_fast"
        wait_until(lambda word=word, i=i: edge.error_log().count(word) >= i // 2 + 1, f"reload {i}")
        before = count[0]
        wait_until(lambda before=before: count[0] >= before + 3, "requests after the reload")
    edge.write_conf(server="")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[0].error


def test_quit_lets_running_downloads_end_and_takes_no_new_ones(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    go_on = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((MIB, go_on))
    running = [edge.start_fetch("/big.bin", version=version) for version in ("2", "1.1")]
    edge.wait_metric("fill_readers", lambda readers: readers == 2)
    edge.send_signal(signal.SIGQUIT)

    def is_closed():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", edge.tls_port)) != 0

    wait_until(is_closed, "the listening socket to close")
    go_on.set()
    assert all(fetch.result().sha256 == thing.sha256 for fetch in running)
    assert edge.wait_exit() == 0


def test_quit_tells_an_idle_http2_client_to_go_away(edge, origin):
    origin.add("/thing", data=b"thing")
    client = edge.http2()
    assert client.wait_end(client.get("/thing")) == b"thing"
    edge.send_signal(signal.SIGQUIT)
    client.wait(lambda c: c.goaway is not None)
    assert client.goaway.error_code == 0
    client.close()
    assert edge.wait_exit() == 0


def test_term_ends_at_once_and_removes_the_pid_file(edge, origin):
    thing = origin.add("/big.bin", size=4 * MIB)
    never = threading.Event()
    thing.tamper = lambda answer, request, n: answer.gates.append((MIB, never))
    running = edge.start_fetch("/big.bin")
    origin.wait_until(lambda: origin.requests and origin.requests[0].body_sent == MIB)
    assert os.path.exists(os.path.join(edge.folder, "entrepot.pid"))
    edge.send_signal(signal.SIGTERM)
    assert edge.wait_exit() == 0
    assert not running.result().complete
    assert not os.path.exists(os.path.join(edge.folder, "entrepot.pid"))
    never.set()


def test_the_command_line_stops_and_reloads_a_running_one(edge, origin):
    origin.add("/thing", data=b"thing")
    assert edge.command("-s", "reload").returncode == 0
    edge.wait_log("reconfigured")
    assert edge.command("-s", "quit").returncode == 0
    assert edge.wait_exit() == 0
    missing = edge.command("-s", "stop")
    assert missing.returncode == 1 and missing.stderr


def test_reopen_begins_new_logs(edge, origin):
    origin.add("/thing", data=b"thing")
    log = os.path.join(edge.folder, "access.log")
    edge.fetch("/thing")
    wait_until(lambda: os.path.getsize(log), "the first line")
    os.rename(log, log + ".1")
    edge.send_signal(signal.SIGUSR1)
    wait_until(lambda: os.path.exists(log), "the new access log")
    edge.fetch("/thing")
    wait_until(lambda: os.path.getsize(log), "a line in the new log")
    assert len(edge.access_log()) == 1


def test_a_graceful_end_gives_the_cache_to_the_next_process_while_a_client_still_reads(make_edge, origin):
    location = f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"
    first = make_edge(location).start()
    hit = origin.add("/hit.bin", size=300 * 1024)
    first.fetch("/hit.bin")
    first.wait_idle()
    go_on = threading.Event()
    slow = origin.add("/slow.bin", size=20 << 20)
    slow.tamper = lambda answer, request, n: answer.gates.append((4 << 20, go_on)) if n == 0 else None
    reader = first.start_fetch("/slow.bin")
    origin.wait_until(lambda: any(request.body_sent >= 4 << 20 for request in origin.gets("/slow.bin")))
    first.send_signal(signal.SIGQUIT)
    first.wait_log("gracefully shutting down")

    second = make_edge(location, store=os.path.join(first.folder, "cache")).start()
    origin.forget()
    answer = second.fetch("/hit.bin")
    assert answer.sha256 == hit.sha256 and answer.cache_status.startswith("entrepot; hit")
    assert origin.requests == []
    new = origin.add("/new.bin", size=300 * 1024)
    second.fetch("/new.bin")
    second.wait_idle()
    go_on.set()
    answer = reader.result()
    assert answer.complete and answer.sha256 == slow.sha256
    assert first.wait_exit() == 0
    origin.forget()
    assert second.fetch("/new.bin").sha256 == new.sha256 and origin.requests == []
