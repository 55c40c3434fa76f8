"""What every scenario is held to: who knows each byte, who asks for them, and what is written down of it."""
import collections
import contextlib
import dataclasses
import json
import os
import random
import subprocess
import threading
import time

KIB, MIB = 1024, 1024 * 1024
reports = []  # of the test that runs, for the figures at the end (conftest.py)


@dataclasses.dataclass
class Report:
    """What a scenario saw. A test asserts that it has no complaints; with a seeded fault, that it has some."""
    what: str
    rounds: int = 0
    hits: int = 0
    misses: int = 0
    refused: int = 0  # no answer, or none that is complete
    wrong: list = dataclasses.field(default_factory=list)
    lost: list = dataclasses.field(default_factory=list)
    other: list = dataclasses.field(default_factory=list)
    notes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    measured: dict = dataclasses.field(default_factory=dict)
    said: list = dataclasses.field(default_factory=list)
    began: float = dataclasses.field(default_factory=time.monotonic)
    ended: float = 0

    def __post_init__(self):
        reports.append(self)

    def note(self, what, count=1):
        self.notes[what] += count

    def say(self, text):
        self.said.append(text)

    def took(self, what, seconds, limit):
        """Holds a time against its limit; the longest stands among the figures."""
        self.measured[what] = max(self.measured.get(what, 0), seconds)
        if seconds > limit:
            self.other.append(f"{what} took {seconds:.1f} s, of {limit} s that it may")

    def complaints(self):
        return ([f"wrong: {w}" for w in self.wrong] + [f"lost: {w}" for w in self.lost] + list(map(str, self.other)))

    def __str__(self):
        seconds = (self.ended or time.monotonic()) - self.began
        return (f"{self.what}: {self.rounds} rounds in {seconds:.0f} s, {self.hits} hits, "
                f"{self.misses} misses, {self.refused} refused, {len(self.wrong)} wrong, {len(self.lost)} lost, "
                f"{len(self.other)} other complaints" + "".join(f", {n} {what}" for what, n in self.notes.items()) +
                "".join(f", {what} within {seconds:.2f} s" for what, seconds in self.measured.items()) +
                "".join(f", {text}" for text in self.said))

    def assert_clean(self):
        self.ended = time.monotonic()
        print(self)
        assert not self.complaints(), f"{self}\n" + "\n".join(self.complaints()[:40])

    def judge(self, thing, path, asked, status, fields, body):
        """Holds an answer against the thing; "hit", "miss" or "refused". `asked`: (first, last) or None."""
        if status not in (200, 206) or body is None or len(body) != int(fields.get("content-length", -1)):
            self.refused += 1
            return "refused"
        want = thing.data
        if status == 206:
            first, last = asked
            want = want[first:last + 1]
            if fields.get("content-range") != f"bytes {first}-{last}/{len(thing.data)}":
                self.wrong.append(f"{path} {asked}: {fields}")
        if body != want:
            at = next((i for i, (a, b) in enumerate(zip(body, want)) if a != b), min(len(body), len(want)))
            self.wrong.append(f"{path} {asked}: {len(body)} bytes, from byte {at} on: {fields}")
        if fields.get("cache-status", "").startswith("entrepot; hit"):
            self.hits += 1
            return "hit"
        self.misses += 1
        return "miss"


def add_things(origin, sizes, under="/things"):
    """path -> resource: one of each size."""
    things = {}
    for number, size in enumerate(sizes):
        path = f"{under}/{number}"
        things[path] = origin.add(path, size=size)
    return things


def read_all(edge, things, report, asked=None):
    """Asks for each, one after the other, over HTTP/1.1: path -> "hit", "miss" or "refused"."""
    outcomes = {}
    connection = edge.http1(tls=False)
    for path, thing in things.items():
        fields = {"Range": f"bytes={asked[0]}-{asked[1]}"} if asked else {}
        try:
            connection.get(path, **fields)
            outcomes[path] = report.judge(thing, path, asked, *connection.response())
            if outcomes[path] == "refused":  # what stands on the connection is not known
                raise OSError
        except OSError:
            outcomes.setdefault(path, "refused")
            connection.close()
            connection = edge.http1(tls=False)
    connection.close()
    return outcomes


def outcome_of_one(edge, path, thing, report, asked=None):
    return read_all(edge, {path: thing}, report, asked)[path]


def verify_store(edge, report):
    """What `entrepot cache verify` finds in the store of an edge that has ended: nothing, however it had fared."""
    command = [edge.program, "cache", "verify", os.path.join(edge.folder, edge.store), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    report.other += [f"verify: {t['finding']} {t['path']}: {t['detail']}" for t in told if "finding" in t]
    if done.returncode not in (0, 1) or not told:
        report.other.append(f"verify ended with {done.returncode}: {done.stderr}")
    else:
        report.note("blobs verified", told[-1]["verified"]["blobs"])


@contextlib.contextmanager
def nothing_at(origin):
    """What is asked of the origin now is not there: who has it stored serves it, who has not tells."""
    resources, origin.resources = origin.resources, {}
    yield
    origin.resources = resources


class Load:
    """Clients that ask for things at random, whole and in ranges, over both versions, until they are stopped."""

    def __init__(self, edge, things, report, seed, clients=4):
        self._edge, self._things, self._report = edge, things, report
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run_to_its_end, daemon=True,
                                          args=(random.Random(f"{seed}/{number}"), number % 2))
                         for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run_to_its_end(self, *arguments):
        try:
            self._run(*arguments)
        except Exception as failure:  # one client less would go unnoticed
            self._report.other.append(f"a client ended: {failure!r}")

    def _run(self, chance, second):
        ask = self._ask_http2 if second else self._ask_http1
        connection = None
        while not self._stop.is_set():
            path = chance.choice(list(self._things))
            thing, asked = self._things[path], None
            if chance.random() < 0.4:
                first = chance.randrange(len(thing.data))
                asked = first, min(first + chance.choice((0, 1000, 300 * KIB)), len(thing.data) - 1)
            try:
                connection = connection or (self._edge.http2() if second else self._edge.http1(tls=False))
                if self._report.judge(thing, path, asked, *ask(connection, path, asked)) == "refused":
                    raise OSError
            except (OSError, AssertionError, ValueError):
                with contextlib.suppress(OSError, AttributeError):
                    connection.close()
                connection = None
                self._stop.wait(0.02)

    @staticmethod
    def _ask_http1(connection, path, asked):
        connection.get(path, **({"Range": f"bytes={asked[0]}-{asked[1]}"} if asked else {}))
        return connection.response()

    @staticmethod
    def _ask_http2(connection, path, asked):
        stream = connection.get(path, **({"range": f"bytes={asked[0]}-{asked[1]}"} if asked else {}))
        body = connection.wait_end(stream)
        status, fields = connection.heads.get(stream, (0, {}))
        connection.bodies.pop(stream)
        return status, fields, body

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Feed(Load):
    """Asks for ever new things, so that there is always something to store and to commit: `fed`."""

    def __init__(self, edge, origin, under, report, seed, size=300):
        self._origin, self._under, self._size = origin, under, size
        self.fed = {}
        super().__init__(edge, self.fed, report, seed, clients=1)

    def _run(self, chance, second):
        while not self._stop.is_set():
            path = f"{self._under}/{len(self.fed)}"
            self.fed[path] = self._origin.add(path, size=self._size)
            try:
                read_all(self._edge, {path: self.fed[path]}, self._report)
            except OSError:
                return
