"""entrepot cache: a store looked at, verified, pruned and carried elsewhere, while it is served from and not."""
import json
import os
import signal
import subprocess
import tarfile
import tempfile
import threading
import time

import pytest

from support.edge import binary, free_port, wait_until

KIB, MIB = 1 << 10, 1 << 20
SPACE = "repository:things"


def run(command, store, *options, expect=0, stdin=None):
    """`entrepot cache command store options`, to its end."""
    done = subprocess.run([binary(), "cache", command, str(store), *map(str, options)], capture_output=True,
                          timeout=120, stdin=stdin or subprocess.DEVNULL)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == expect, (done.stdout, done.stderr)
    return done


def lines(command, store, *options, expect=0):
    """What --json prints, parsed."""
    return [json.loads(line) for line in run(command, store, *options, "--json", expect=expect).stdout.splitlines()]


def store_of(edge):
    return os.path.join(edge.folder, "cache")


def blob_file(edge, thing):
    return os.path.join(store_of(edge), "blobs", thing.sha256[:2], thing.sha256)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.fixture
def make_things(make_edge):
    """make_things(url): an edge whose whole tree is one repository, of what `url` has."""
    def make(url, **options):
        return make_edge("location / { repository things; }", **options, http=(
            f"repository things {{ format generic; proxy_pass {url}; proxy_cache_valid 200 1h; }}"))
    return make


@pytest.fixture
def things(make_things, origin):
    return make_things(origin.url).start()


@pytest.fixture
def filled(things, origin):
    """(edge, {path: resource}): small, middle, large; all committed."""
    made = {path: origin.add(path, size=size, seed=seed) for seed, (path, size) in
            enumerate({"/a/small": 100, "/a/middle": 300 * KIB, "/b/large": 3 * MIB}.items(), 2)}
    fetch_all(things, made)
    origin.forget()
    return things, made


def fetch_all(edge, made):
    for path, thing in made.items():
        assert edge.fetch(path).body == thing.data
    edge.wait_idle()
    wait_until(lambda: len(lines("ls", store_of(edge))) >= len(made), "the names to be committed")


def from_all_workers(edge, path, times=24):
    """The bodies that many connections get: each lands on a worker by chance."""
    return [edge.fetch(path, version="2" if n % 2 else "1.1").body for n in range(times)]


# -- looking --

def test_stat_tells_what_is_there_and_who_holds_it(filled):
    edge, made = filled
    size = sum(len(thing.data) for thing in made.values())
    told, = lines("stat", store_of(edge))
    assert told["state"] == "running" and told["pid"] == edge.serving_pid()
    assert (told["blobs"], told["bytes"]) == (3, size)
    assert told["inline"] == {"blobs": 1, "bytes": 100} and told["files"]["blobs"] == 2
    assert told["partial"] == {"blobs": 0, "bytes": 0} and told["quarantine"] == {"files": 0, "bytes": 0}
    assert told["spaces"] == [{"space": SPACE, "names": 3, "bytes": size}]
    assert (told["names"], told["dangling_names"], told["damaged_records"]) == (3, 0, 0)
    assert abs(told["started"] - time.time()) < 600 and told["newest_asked"] >= told["oldest_asked"] > 0
    assert told["free_bytes"] < told["file_system_bytes"]
    text = run("stat", store_of(edge)).stdout
    assert f"running (process {edge.serving_pid()})" in text and "3 names (3.3 MiB)" in text
    edge.stop()
    told, = lines("stat", store_of(edge))
    assert (told["state"], told["pid"], told["blobs"]) == ("stopped", None, 3)
    assert "stopped, last started" in run("stat", store_of(edge)).stdout


def test_ls_lists_names_in_order_by_space_and_prefix(filled):
    edge, made = filled
    for _ in "running", "stopped":
        assert run("ls", store_of(edge)).stdout == "".join(f"{SPACE} {path}\n" for path in sorted(made))
        assert run("ls", store_of(edge), SPACE, "/a/").stdout.splitlines() == [f"{SPACE} /a/middle", f"{SPACE} /a/small"]
        assert run("ls", store_of(edge), "repository:other").stdout == ""
        row = lines("ls", store_of(edge), SPACE, "/b/")[0]
        assert row["digest"] == "sha256:" + made["/b/large"].sha256
        assert (row["name"], row["state"], row["length"], row["stored"], row["status"]) == (
            "/b/large", "whole", 3 * MIB, 3 * MIB, 200)
        assert abs(row["fetched"] - time.time()) < 600
        long_form = run("ls", store_of(edge), SPACE, "/b/", "-l").stdout
        assert "3.0 MiB  whole" in long_form and made["/b/large"].sha256[:12] in long_form
        edge.stop()


def test_ls_tells_how_much_of_a_partial_blob_is_there(things, origin):
    thing = origin.add("/big", size=40 * MIB)
    assert things.fetch("/big", fields={"Range": "bytes=0-9"}).body == thing.data[:10]
    things.wait_idle()
    wait_until(lambda: lines("ls", store_of(things)), "the partial blob to be committed")
    row, = lines("ls", store_of(things))
    assert (row["state"], row["length"], row["digest"]) == ("partial", 40 * MIB, None)
    assert 0 < row["stored"] < 40 * MIB
    assert f" {100 * row['stored'] // (40 * MIB)}% " in run("ls", store_of(things), "--long").stdout
    assert lines("verify", store_of(things))[-1]["verified"]["partial_blobs"] == 1


# -- verify --

def test_verify_of_a_sound_store_finds_nothing(filled):
    edge, made = filled
    for _ in "running", "stopped":
        told = lines("verify", store_of(edge))
        assert told == [{"verified": {
            "blobs": 3, "inline_blobs": 1, "partial_blobs": 0, "bytes_read": sum(len(t.data) for t in made.values()),
            "files": 2, "left_over_files": 0, "names": 3, "dangling_names": 0, "findings": 0, "repaired": 0}}]
        assert "3 names: nothing wrong" in run("verify", store_of(edge), "--quick").stdout
        edge.stop()


@pytest.mark.parametrize("running", [True, False])
def test_verify_finds_a_rotten_blob_and_repair_has_it_fetched_again(filled, origin, running):
    edge, made = filled
    path, thing = "/b/large", made["/b/large"]
    if not running:
        edge.stop()
    flip(blob_file(edge, thing), 2 * MIB)
    finding, sums = lines("verify", store_of(edge), expect=1)
    assert (finding["finding"], finding["path"]) == ("rotten", blob_file(edge, thing))
    assert finding["digest"] == "sha256:" + thing.sha256 and "chunk 16" in finding["detail"]
    assert (sums["verified"]["findings"], sums["verified"]["repaired"]) == (1, 0)
    assert os.path.exists(blob_file(edge, thing)), "without --repair nothing is changed"
    assert "1 finding, 1 repaired" in run("verify", store_of(edge), "--repair", expect=1).stdout
    assert not os.path.exists(blob_file(edge, thing))
    assert len(os.listdir(os.path.join(store_of(edge), "quarantine"))) == 1
    if not running:
        edge.start()
    assert edge.fetch(path).body == thing.data
    assert len(origin.gets(path)) == 1
    edge.wait_idle()
    wait_until(lambda: lines("stat", store_of(edge))[0]["blobs"] == 3, "the new blob to be committed")
    assert lines("verify", store_of(edge))[-1]["verified"]["findings"] == 0


def test_verify_tells_of_missing_damaged_and_foreign_files(filled):
    edge, made = filled
    edge.stop()
    os.rename(blob_file(edge, made["/a/middle"]), os.path.join(edge.folder, "elsewhere"))
    flip(blob_file(edge, made["/b/large"]), os.path.getsize(blob_file(edge, made["/b/large"])) - 1)
    foreign = os.path.join(store_of(edge), "blobs", "00", "README")
    with open(foreign, "w", encoding="ascii") as file:
        file.write("not a blob")
    assert len(lines("verify", store_of(edge), "--quick", expect=1)) == 4
    told = lines("verify", store_of(edge), "--repair", expect=1)
    assert sorted(t["finding"] for t in told[:-1]) == ["footer", "foreign-file", "missing"]
    assert told[-1]["verified"]["repaired"] == 2, "what is foreign is the start's"
    edge.start()
    wait_until(lambda: not os.path.exists(foreign), "what is foreign to be moved away")
    assert lines("verify", store_of(edge))[-1]["verified"]["dangling_names"] == 2


# -- rm --

def test_a_removed_name_is_asked_for_again_on_all_workers(filled, origin):
    edge, made = filled
    assert set(from_all_workers(edge, "/a/middle")) == {made["/a/middle"].data}
    new = origin.add("/a/middle", size=200 * KIB, seed=99, etag='"v2"')
    assert origin.requests == []
    assert run("rm", store_of(edge), SPACE, "/a/middle").stdout == "1 name forgotten\n"
    assert set(from_all_workers(edge, "/a/middle")) == {new.data}
    assert len(origin.gets("/a/middle")) == 1
    assert edge.fetch("/b/large").body == made["/b/large"].data and len(origin.requests) == 1


def test_a_fill_in_flight_of_a_removed_name_does_not_bring_the_old_bytes_back(things, origin):
    old = origin.add("/thing", size=2 * MIB, seed=5)
    go_on = threading.Event()
    old.tamper = lambda answer, request, n: answer.gates.append((MIB, go_on))
    client = things.http2()
    stream = client.get("/thing")
    client.wait_bytes(stream, MIB)
    new = origin.add("/thing", size=2 * MIB, seed=6, etag='"v2"')
    assert run("rm", store_of(things), SPACE, "/thing").stdout == "1 name forgotten\n"
    assert things.fetch("/thing").body == new.data
    go_on.set()
    assert client.wait_end(stream) == old.data, "who reads it goes on"
    client.close()
    things.wait_idle()
    assert set(from_all_workers(things, "/thing")) == {new.data}
    assert len(origin.gets("/thing")) == 2


def test_rm_by_prefix_and_of_what_is_not_there(filled, origin):
    edge, made = filled
    told, = lines("rm", store_of(edge), SPACE, "--prefix", "/a/")
    assert told == {"forgotten": 2, "removed": 0, "missing": []}
    done = run("rm", store_of(edge), SPACE, "/a/small", "/nothing", expect=1)
    assert "not there: /nothing" in done.stderr and done.stdout == "0 names forgotten\n"
    assert [row["name"] for row in lines("ls", store_of(edge))] == ["/b/large"]
    edge.stop()
    told, = lines("rm", store_of(edge), SPACE, "--prefix", "/b")
    assert told == {"forgotten": 1, "removed": 0, "missing": []}
    edge.start()
    assert edge.fetch("/b/large").body == made["/b/large"].data
    assert len(origin.gets("/b/large")) == 1


def test_a_removed_blob_is_gone_from_the_disk_and_its_name_brings_it_again(filled, origin):
    edge, made = filled
    digest = "sha256:" + made["/b/large"].sha256
    assert set(from_all_workers(edge, "/b/large", 8)) == {made["/b/large"].data}
    assert run("rm", store_of(edge), "--digest", digest).stdout == "1 blob removed\n"
    assert not os.path.exists(blob_file(edge, made["/b/large"]))
    assert lines("ls", store_of(edge), SPACE, "/b/")[0]["state"] == "gone"
    assert lines("verify", store_of(edge))[-1]["verified"]["dangling_names"] == 1
    assert lines("rm", store_of(edge), "--digest", digest, expect=1)[0]["missing"] == [digest]
    assert edge.fetch("/b/large").body == made["/b/large"].data
    assert len(origin.gets("/b/large")) == 1


# -- export and import --

@pytest.fixture
def archive(filled, tmp_path):
    edge, _ = filled
    file = tmp_path / "archive.tar"
    assert "3 blobs (3.3 MiB) and 3 names written" in run("export", store_of(edge), file).stderr
    return file


@pytest.fixture
def cut_off(make_things):
    """An edge whose origin is dead, with an empty store."""
    return make_things(f"http://127.0.0.1:{free_port()}").start()


def expect_hits(edge, made):
    for path, thing in made.items():
        answer = edge.fetch(path)
        assert answer.body == thing.data
        assert answer.cache_status.startswith("entrepot; hit"), path


@pytest.mark.parametrize("running", [True, False])
def test_what_is_exported_here_is_a_hit_there_though_the_origin_is_dead(filled, archive, cut_off, running):
    _, made = filled
    with tarfile.open(archive) as tar:
        assert tar.getnames()[0] == "entrepot-cache" and f"blobs/sha256/{made['/a/small'].sha256}" in tar.getnames()
    if not running:
        cut_off.stop()
    told, = lines("import", store_of(cut_off), archive)
    assert told == {"imported": {"blobs": 3, "bytes": sum(len(t.data) for t in made.values()), "known_blobs": 0,
                                 "names": 3, "known_names": 0, "grants": 0, "refused": 0, "error": ""}}
    if not running:
        cut_off.start()
    expect_hits(cut_off, made)
    told, = lines("import", store_of(cut_off), archive)
    assert (told["imported"]["known_blobs"], told["imported"]["known_names"], told["imported"]["blobs"]) == (3, 3, 0)
    assert lines("verify", store_of(cut_off))[-1]["verified"]["findings"] == 0


def test_a_pipe_carries_a_part_of_the_names(filled, cut_off):
    edge, made = filled
    export = subprocess.Popen([binary(), "cache", "export", store_of(edge), "-", SPACE, "/a/"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
    done = run("import", store_of(cut_off), "-", stdin=export.stdout)
    assert export.wait() == 0 and "2 blobs (300.1 KiB) and 2 names entered" in done.stdout
    expect_hits(cut_off, {path: thing for path, thing in made.items() if path.startswith("/a/")})
    assert cut_off.fetch("/b/large").status == 502


def test_grants_come_along_only_when_both_sides_say_so(filled, cut_off, tmp_path):
    edge, _ = filled
    file = tmp_path / "archive.tar"
    run("export", store_of(edge), file, "--grants")
    assert lines("import", store_of(cut_off), file)[0]["imported"]["grants"] == 0
    assert lines("import", store_of(cut_off), file, "--grants")[0]["imported"]["grants"] == 3


@pytest.mark.parametrize("running", [True, False])
def test_a_killed_import_goes_on(filled, archive, cut_off, running):
    _, made = filled
    if not running:
        cut_off.stop()
    command = subprocess.Popen([binary(), "cache", "import", store_of(cut_off), "-"], stdin=subprocess.PIPE)
    with tarfile.open(archive) as tar:
        last = max((m for m in tar.getmembers() if m.name.startswith("blobs/")), key=lambda m: m.offset)
    command.stdin.write(archive.read_bytes()[:last.offset_data + 10])
    command.stdin.flush()
    whole = [t for t in made.values() if t.sha256 not in last.name and len(t.data) > 16 * KIB]
    wait_until(lambda: all(os.path.exists(blob_file(cut_off, thing)) for thing in whole), "the first blobs")
    command.kill()
    command.wait()
    wait_until(lambda: run_quietly(store_of(cut_off), archive) == 0, "the import to go on")
    assert lines("stat", store_of(cut_off))[0]["blobs"] == 3
    if not running:
        cut_off.start()
    expect_hits(cut_off, made)


def run_quietly(store, archive):
    done = subprocess.run([binary(), "cache", "import", store, str(archive), "--json"], capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])["imported"] if done.returncode == 0 else None
    assert not told or told["known_blobs"] >= 1, "what the killed one had entered is not brought in again"
    return done.returncode


def test_a_flipped_byte_costs_the_blob_that_has_it_and_its_name(filled, archive, cut_off):
    _, made = filled
    with tarfile.open(archive) as tar:
        flip(archive, tar.getmember("blobs/sha256/" + made["/a/middle"].sha256).offset_data + 1000)
    refused = lines("import", store_of(cut_off), archive, expect=1)
    assert [line.get("refused") for line in refused[:-1]] == [
        "blob sha256:" + made["/a/middle"].sha256, f"name {SPACE} /a/middle"]
    assert refused[0]["why"] == "its bytes have another SHA-256"
    sums = refused[-1]["imported"]
    assert (sums["blobs"], sums["names"], sums["refused"]) == (2, 2, 2)
    expect_hits(cut_off, {path: thing for path, thing in made.items() if path != "/a/middle"})
    assert cut_off.fetch("/a/middle").status == 502


def test_what_is_no_archive_and_what_is_cut_short_is_told(filled, archive, cut_off, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"hello" * 1000)
    assert "no archive" in run("import", store_of(cut_off), other, expect=2).stderr
    other.write_bytes(archive.read_bytes()[:-MIB])
    done = run("import", store_of(cut_off), other, expect=2)
    assert "runcated" in done.stderr


def test_an_export_of_a_stopped_store_is_that_of_a_running_one_and_tells_its_sums(filled, archive, tmp_path):
    edge, made = filled
    edge.stop()
    again = tmp_path / "again.tar"
    told = lines("export", store_of(edge), again, "--grants")
    assert told == [{"exported": {"blobs": 3, "bytes": sum(len(t.data) for t in made.values()), "names": 3,
                                  "grants": 3, "rotten": 0}}]
    run("export", store_of(edge), again)
    assert again.read_bytes() == archive.read_bytes()
    told, = lines("export", store_of(edge), again, SPACE, "/a/")
    assert (told["exported"]["blobs"], told["exported"]["names"], told["exported"]["grants"]) == (2, 2, 0)


def test_an_export_tells_of_rot_and_an_import_refuses_it(filled, cut_off, tmp_path):
    edge, made = filled
    flip(blob_file(edge, made["/b/large"]), MIB)
    done = run("export", store_of(edge), tmp_path / "archive.tar", expect=1)
    assert "rotten, an import will refuse it: sha256:" + made["/b/large"].sha256 in done.stderr
    rotten, sums = lines("export", store_of(edge), tmp_path / "archive.tar", expect=1)
    assert rotten == {"rotten": "sha256:" + made["/b/large"].sha256} and sums["exported"]["rotten"] == 1
    assert lines("import", store_of(cut_off), tmp_path / "archive.tar", expect=1)[-1]["imported"]["refused"] == 2


# -- who may, and what is said --

def test_a_store_that_is_held_and_does_not_answer_is_not_touched(filled):
    edge, _ = filled
    os.unlink(os.path.join(store_of(edge), "control"))
    done = run("rm", store_of(edge), SPACE, "/a/small", expect=2)
    assert f"is held by process {edge.serving_pid()}, which does not answer on {store_of(edge)}/control" in done.stderr
    assert len(lines("ls", store_of(edge))) == 3


def test_the_socket_is_the_owners_alone_and_goes_with_the_edge(things):
    control = os.path.join(store_of(things), "control")
    assert os.stat(control).st_mode & 0o777 == 0o600
    things.kill()
    things.start()  # over what the killed one has left
    assert run("rm", store_of(things), SPACE, "--prefix", "", expect=1).stdout == "0 names forgotten\n"
    things.stop(signal.SIGQUIT)
    assert not os.path.exists(control)


@pytest.fixture
def open_folder():
    """A folder that everybody may pass through."""
    with tempfile.TemporaryDirectory(prefix="entrepot-cache-") as folder:
        os.chmod(folder, 0o755)
        yield folder


def test_what_root_imports_is_the_owners(archive, open_folder):
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    store = os.path.join(open_folder, "cache")
    os.mkdir(store, 0o700)
    os.chown(store, owner, -1)
    run("import", store, archive)
    found = [os.path.join(folder, name) for folder, folders, files in os.walk(store) for name in folders + files]
    assert len(found) > 256 and {os.stat(path).st_uid for path in found} == {owner}
    assert lines("stat", store)[0]["blobs"] == 3


def test_errors_name_what_was_expected(tmp_path):
    for arguments, said in [
            ([], 'requires a command: stat, ls, verify, rm, export or import'),
            (["prune"], 'no command "cache prune"'),
            (["stat"], "expected: entrepot cache stat PATH [--json]"),
            (["stat", tmp_path / "nowhere"], "expected that of a proxy_cache_path"),
            (["stat", tmp_path], "no index is in it"),
            (["ls", tmp_path, "--repair"], 'invalid option: "--repair"'),
            (["rm", tmp_path, SPACE], "expected: entrepot cache rm PATH SPACE NAME..."),
            (["rm", tmp_path, "--digest", "sha256:12"], "expected sha256: and 64 hex digits"),
            (["export", tmp_path, "-", "--json"], '"--json" prints to stdout, where the archive goes: expected a file'),
            (["import", tmp_path, tmp_path / "nothing"], "cannot open the archive")]:
        done = subprocess.run([binary(), "cache", *map(str, arguments)], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "") and said in done.stderr, (arguments, done.stderr)
    for arguments, said in [(["--help"], "entrepot cache verify PATH"), (["verify", "--help"], "--quick")]:
        done = subprocess.run([binary(), "cache", *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "") and said in done.stdout
