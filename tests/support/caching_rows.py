"""Rows of a table of caching: what an origin answers, what clients ask, what must be seen. All rows share one edge and
one origin, each has a path of its own, and all first requests are made before any second one."""
import dataclasses
import email.utils
import time

from support.origin import Answer

NOW = int(time.time())


def at(offset):
    return email.utils.formatdate(NOW + offset, usegmt=True)


class Pairs(list):
    """Fields in order, names repeated where they are."""

    def items(self):
        return list(self)


class Never:
    """A gate that never opens: the connection ends before the head."""

    def wait(self, _):
        return False


@dataclasses.dataclass
class Reply:
    """`drops`: no answer at all. `body`: where it is not to be "body N" of the N-th question."""
    fields: list = dataclasses.field(default_factory=list)
    status: int = 200
    body: bytes = None
    drops: bool = False


@dataclasses.dataclass
class Ask:
    fields: list = dataclasses.field(default_factory=list)
    method: str = "GET"
    query: str = ""


@dataclasses.dataclass
class Seen:
    status: int
    fields: dict
    body: bytes
    asked: int  # questions upstream, so far


class Script:
    """A resource of the origin: the N-th question has the N-th reply, the last one all further ones. A matching
    If-None-Match or If-Modified-Since is answered 304, with the fields of that reply."""
    early, interim, content_gate = False, b"", None

    def __init__(self, replies):
        self.replies, self.asked, self.tamper, self.requests = replies, 0, None, []

    def answer(self, request):
        number = len(self.requests)
        self.requests.append(request)
        reply = self.replies[min(number, len(self.replies) - 1)]
        if reply.drops:
            return Answer(200, Pairs(), b"", head_gate=Never())
        own = {name.lower(): value for name, value in reply.fields}
        same = (own.get("etag", "").removeprefix("W/"), own.get("last-modified"))
        asked = (request.fields.get("if-none-match", "none").removeprefix("W/"),
                 request.fields.get("if-modified-since", "none"))
        fields = Pairs(reply.fields)
        if reply.status == 200 and (same[0] == asked[0] or ("etag" not in own and same[1] == asked[1])):
            return Answer(304, fields)
        body = reply.body if reply.body is not None else b"body %d" % number
        return Answer(reply.status, fields, body)


class Row:
    def __init__(self, section, what, replies, asks, place="p"):
        self.section, self.what, self.place = section, what, place
        self.replies = [Reply(r) if isinstance(r, list) else r for r in replies]
        self.asks = [Ask(a) if isinstance(a, list) else a for a in asks]
        self.seen = []

    def begin(self, origin, number):
        self.path = f"/{self.place}/{number}"
        self.script = Script(self.replies)
        for query in {ask.query for ask in self.asks}:
            origin.resources[self.path + query] = self.script

    def ask(self, connection, number):
        if number >= len(self.asks):
            return
        ask = self.asks[number]
        stream = connection.get(self.path + ask.query, ask.method, more=[(n.lower(), v) for n, v in ask.fields])
        body = connection.wait_end(stream)
        status, fields = connection.heads[stream]
        self.seen.append(Seen(status, fields, body, len(self.script.requests)))


def run(rows, origin, edge, first=0):
    """All that the rows ask, in steps. Their paths are numbered from `first`."""
    for number, row in enumerate(rows, first):
        row.begin(origin, number)
    connection = edge.http2(tls=False)
    for step in range(max(len(row.asks) for row in rows)):
        for row in rows:
            row.ask(connection, step)
        edge.wait_idle()
    connection.close()
