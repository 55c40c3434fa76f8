"""A system call of the store fails, whichever it is: no wrong byte, no sync that is tried twice, and it serves on."""
import collections
import os
import random
import re

from faults.oracle import KIB, MIB, Report, add_things, outcome_of_one, read_all

LONG = bool(os.environ.get("ENTREPOT_LONG"))
SYNCS = ("fdatasync", "fsync")
WRITES = ("pwrite64", "pwritev", "ftruncate")
CALLS = (*SYNCS, *WRITES, "rename", "openat", "pread64", "preadv2")
SEEN = "writev"  # LMDB's, of several pages. Not one to fail: those of sockets would, too
ERRORS = ("EIO", "ENOSPC")
READS = ("pread64", "preadv2")
THREADS = 16  # more than the edge has. Each counts its own calls, and so has one fault to give
LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(?: (E\w+))?")


def strace(log, *options):
    """-D: the edge is the process that was started, and strace stands beside it."""
    return ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-qq", "-s", "0", "-o", log, "-e", "signal=none",
            "-e", "trace=" + ",".join((*CALLS, SEEN)), *options, "--"]


def calls_of(log, store):
    """(number, call, path, descriptor, error) of each that is about the store: the how many-eth of its thread and
    kind it was, the descriptor that it was about or, of an open, gave."""
    counts = collections.Counter()
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read()
    # A call that another thread interrupts stands in two lines.
    begun = {}
    for line in text.splitlines():
        if (cut := re.match(r"(\d+) +(.*?) *<unfinished \.\.\.>$", line)):
            begun[cut[1]] = line[:line.rindex("<unfinished")].rstrip()
            continue
        if (resumed := re.match(r"(\d+) +<\.\.\. \w+ resumed>(.*)", line)):
            line = begun.pop(resumed[1], "") + resumed[2]
        if not (match := LINE.match(line)):
            continue
        thread, call, arguments, result, error = match.groups()
        counts[thread, call] += 1
        about = re.match(r"(\d+)<([^>]*)>", arguments)
        named = re.search(r'"([^"]*)"', arguments)
        path = "/".join(part for part in (about and about[2], named and named[1]) if part)
        descriptor = result if call == "openat" else about and about[1]
        if store in path:
            yield counts[thread, call], call, path, descriptor, error


def retried_syncs(log, store):
    """Syncs of a descriptor of which one failed. Of the index, only those before it is written again: LMDB drops
    the pages of a commit that failed, and the next one writes all of its own."""
    failed, found = {}, []
    for _, call, path, descriptor, error in calls_of(log, store):
        if call in SYNCS and descriptor:
            if failed.get(descriptor) == path:
                found.append(f"{call} of {path} again")
            failed.pop(descriptor, None)
            if error:
                failed[descriptor] = path
        elif call in (*WRITES, SEEN) and path.endswith("/data.mdb") or call == "openat":
            failed.pop(descriptor, None)
    return found


def test_a_sync_counts_as_tried_again_until_its_descriptor_is_another_file_s(tmp_path):
    failed = '7 fdatasync(5</store/partial/a>) = -1 EIO (Input/output error) (INJECTED)\n'
    opened = '8 openat(3</store/partial>, "a", O_RDWR) = 5</store/partial/a>\n'
    begun, ended = "8 fdatasync(5</store/partial/a> <unfinished ...>\n", "8 <... fdatasync resumed>) = 0\n"
    log, again = tmp_path / "log", ["fdatasync of /store/partial/a again"]
    for between, found in (("", again), (opened, []), (opened.replace("5<", "6<"), again)):
        log.write_text(failed + between + begun + ended, encoding="ascii")
        assert retried_syncs(log, "/store") == found, between


def script(edge, origin, report):
    """Small things, larger ones, a part of a giant, more than there is room for; then all that again."""
    things = add_things(origin, [10, 5 * KIB, 40 * KIB, 90 * KIB, 200 * KIB, 700 * KIB, 1300 * KIB])
    giant = {"/giant": origin.add("/giant", size=5 * MIB)}
    more = add_things(origin, [900 * KIB] * 6, "/more")
    read_all(edge, things, report)
    read_all(edge, giant, report, (2 * MIB, 2 * MIB + 100))
    edge.wait_idle()
    read_all(edge, more, report)
    edge.wait_idle()
    everything = {**things, **giant, **more}
    ask_again(edge, everything, report, "is not served")
    edge.wait_idle()
    return everything


def ask_again(edge, everything, report, complaint):
    """An answer breaks off where the fault shows while it is sent; who asks again has it."""
    for path, outcome in read_all(edge, everything, report).items():
        again = (outcome_of_one(edge, path, everything[path], report) for _ in range(THREADS))
        if outcome == "refused" and all(other == "refused" for other in again):
            report.other.append(f"{path} {complaint}")


def one_fault(make_edge, origin, call, error, number, report, log, **binary):
    location = f"location / {{ proxy_pass {origin.url}; proxy_cache_valid 200 1h; }}"
    inject = ("-e", f"inject={call}:error={error}:when={number}") if call else ()
    edge = make_edge(location, cache="max_size=11m", workers=1, wrapper=strace(log, *inject), **binary)
    store = os.path.join(edge.folder, edge.store)
    complaints = len(report.complaints())
    try:
        try:
            edge.start()
        except AssertionError:  # a store that cannot be opened: what started it starts it again
            report.note("starts refused")
            edge.abandon()
            edge.wrapper = []
            edge.start()
        everything = script(edge, origin, report)
        edge.stop()
        edge.wrapper = []
        edge.start()
        ask_again(edge, everything, report, "is not served after a restart")
        edge.stop()
    except AssertionError as failure:
        report.other.append(f"the edge: {failure}")
    report.other += retried_syncs(log, store)
    for at in range(complaints, len(report.complaints())):
        report.note("complaints")
        print(f"{call} {error} {number}: {report.complaints()[at]}")
    report.rounds += 1
    return store


def baseline(make_edge, origin, log):
    """call -> how many of them the thread that makes most makes; of openat, which are of the store."""
    report = Report("no fault")
    store = one_fault(make_edge, origin, None, None, None, report, log)
    report.assert_clean()
    assert report.refused == 0
    numbers = collections.defaultdict(set)
    for number, call, *_ in calls_of(log, store):
        if call != SEEN:
            numbers[call].add(number)
    assert set(SYNCS) | {"pwrite64", "rename", "openat", "pread64"} <= set(numbers), numbers
    return numbers


def test_a_failing_system_call_costs_no_right_byte_and_no_sync_is_tried_twice(make_edge, origin, seed, tmp_path):
    log = str(tmp_path / "strace")
    numbers = baseline(make_edge, origin, log)
    faults = [(call, error, number) for call in numbers for number in sorted(numbers[call])
              for error in (ERRORS if call not in READS else ERRORS[:1])]
    report = Report(f"failing system calls, of {len(faults)}")
    if not LONG:  # one of each call and error
        chance = random.Random(seed)
        kinds = sorted({(call, error) for call, error, _ in faults})
        faults = [(*kind, chance.choice([number for *other, number in faults if tuple(other) == kind]))
                  for kind in kinds]
    for call, error, number in faults:
        one_fault(make_edge, origin, call, error, number, report, log)
    report.assert_clean()


def test_a_sync_that_is_tried_again_is_found_out(make_edge, origin, seeded, tmp_path):
    log = str(tmp_path / "strace")
    store = one_fault(make_edge, origin, None, None, None, Report("no fault"), log)
    # Of blobs: late ones, because each thread counts its own, and the start must have passed by then.
    numbers = sorted({number for number, call, path, *_ in calls_of(log, store)
                      if call == "fdatasync" and "/partial/" in path}, reverse=True)
    report, options = Report("sync retried"), seeded("sync-retried")
    options["environment"]["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # needs ptrace, too
    for number in numbers:
        one_fault(make_edge, origin, "fdatasync", "EIO", number, report, log, **options)
        if report.complaints():
            break
    print(report)
    assert any("fdatasync" in complaint for complaint in report.complaints())
