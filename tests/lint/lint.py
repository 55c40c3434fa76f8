#!/usr/bin/env python3
"""Rules that no compiler checks. Usage: lint.py ROOT; prints file:line: rule, exits 1 when there is any.

Each rule is a function (path, text) -> [(line, message)]. `path` is relative to ROOT, with '/'.
lint_test.py shows for each rule what it refuses and what it lets pass.
"""
import os
import re
import sys

MAX_LINES = 450
PRODUCT = ("cache/", "resolver/", "proxy/")
SOURCES = PRODUCT + ("tests/", "bench/", "conf/", ".ci/")
TEXT = (".cc", ".h", ".py", ".sh", ".cmake", ".conf", ".md", ".yml", ".yaml")


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def code_only(text):
    """The text with comments, strings and character literals blanked; every position stays."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
        r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


# -- includes point one way: cache <- resolver <- proxy --

MAY_INCLUDE = {"cache": {"cache"}, "resolver": {"cache", "resolver"}, "proxy": {"cache", "resolver", "proxy"}}
PROXY_ONLY = re.compile(r"#include <(event2/|nghttp2/|curl/|openssl/ssl|coroutine)")


def includes(path, text):
    layer = path.split("/")[0]
    if layer not in MAY_INCLUDE or not path.endswith((".cc", ".h")):
        return []
    found = []
    for match in re.finditer(r'^#include "([^"/]+)/[^"]*"', text, re.M):
        if match.group(1) not in MAY_INCLUDE[layer]:
            found.append((line_of(text, match.start()), f"{layer}/ must not include {match.group(1)}/"))
    if layer != "proxy":
        for match in PROXY_ONLY.finditer(text):
            found.append((line_of(text, match.start()), f"{match.group(1)} belongs to proxy/ only"))
        for match in re.finditer(r"\bco_(await|return|yield)\b", code_only(text)):
            found.append((line_of(text, match.start()), "coroutines belong to proxy/ only"))
    return found


# -- forms of co_await that g++ 12.2 miscompiles --

LAMBDA = re.compile(r"(?<![\w\])])\[(?!\[)([^\[\]]*)\]\s*(\([^(){};]*(?:\([^()]*\)[^(){};]*)*\)\s*)?"
                    r"(?:mutable\s*|noexcept\s*)*(?:->\s*[\w:<>&*, ]+?\s*)?\{")


def matching_brace(code, opening):
    depth = 0
    for at in range(opening, len(code)):
        depth += (code[at] == "{") - (code[at] == "}")
        if depth == 0:
            return at
    return len(code)


def matching_opening(code, closing):
    depth = 0
    for at in range(closing, -1, -1):
        depth += (code[at] == "}") - (code[at] == "{")
        if depth == 0:
            return at
    return 0


def statement_around(code, at):
    """(start, end) of the full-expression that holds position `at`."""
    start = at
    while start > 0:
        c = code[start - 1]
        if c == "}" and code[start:at].lstrip()[:1] in tuple(",).("):
            # The body of a lambda, or an initialiser: inside the expression.
            start = matching_opening(code, start - 1)
            continue
        if c in ";{}":
            break
        start -= 1
    end, parens, braces = at, 0, 0
    while end < len(code):
        c = code[end]
        parens += (c == "(") - (c == ")")
        braces += (c == "{") - (c == "}")
        if parens < 0 or braces < 0 or (c == ";" and parens == 0 and braces == 0):
            break
        end += 1
    return start, end


def opens_block(code, opening):
    before = code[:opening].rstrip()
    word = re.search(r"(\b(else|do|try|const|noexcept|mutable|override)|->\s*[\w:<>&* ]+)$", before)
    return not before or before[-1] in ");{}]:" or word is not None


def co_await_forms(path, text):
    if not path.endswith((".cc", ".h")) or not path.startswith(SOURCES):
        return []
    code = code_only(text)
    found = []

    def report(at, message):
        found.append((line_of(code, at), message))

    for match in re.finditer(r"\bco_await\b", code):
        at = match.start()
        start, end = statement_around(code, at)
        before, after = code[start:at], code[match.end():end]
        if LAMBDA.search(before) or LAMBDA.search(after):
            report(at, "no lambda in a full-expression with co_await: name it first")
        elif "{" in after:
            report(at, "no brace-initialised temporary in a full-expression with co_await: name it first")
        if start > 0 and code[start - 1] == "{" and not opens_block(code, start - 1):
            report(at, "no co_await inside an initialiser in braces")
        if re.search(r"\bswitch\s*\([^;]*$", before):
            report(at, "no co_await in the condition of a switch")
        if re.search(r"\bauto\s*&{0,2}\s*\[[^\]]*\]\s*=\s*[^;]*$", before):
            report(at, "no structured binding of a co_await")
    for match in re.finditer(r"\(\s*\{", code):
        inside = code[match.start():matching_brace(code, match.end() - 1)]
        if re.search(r"\bco_await\b[^;]*;", inside):
            report(match.start(), "no statement-expression with co_await")
    for match in LAMBDA.finditer(code):
        body = code[match.end():matching_brace(code, match.end() - 1)]
        inner = LAMBDA.search(body)
        while inner:
            body = body[:inner.start()] + body[matching_brace(body, inner.end() - 1) + 1:]
            inner = LAMBDA.search(body)
        if match.group(1).strip() and re.search(r"\bco_(await|return|yield)\b", body):
            report(match.start(), "no coroutine that is a capturing lambda")
    for match in re.finditer(r"coroutine_handle<[^;{}]*>\s+await_suspend\b", code):
        report(match.start(), "no symmetric transfer: await_suspend answers bool or void")
    return found


# -- text --

def length(path, text):
    lines = text.count("\n")
    if not path.startswith(SOURCES) or not path.endswith((".cc", ".h", ".py")) or lines <= MAX_LINES:
        return []
    first = re.match(r'(?:#![^\n]*\n)?\s*((?://[^\n]*\n)+|/\*.*?\*/|""".*?"""|(?:#[^\n]*\n)+)', text, re.S)
    if first and re.search(r"\blong\b", first.group(1)):
        return []
    return [(1, f"{lines} lines, more than {MAX_LINES}: split it, or say first why it is long")]


def trailing_space(path, text):
    return [(line_of(text, m.start()), "space at the end of a line")
            for m in re.finditer(r"[ \t]+$", text, re.M)]


def unfinished(path, text):
    if path.startswith("tests/lint/"):
        return []
    return [(line_of(text, m.start()), f"{m.group()} belongs to the tracker")
            for m in re.finditer(r"\b(TODO|FIXME|XXX)\b", text)]


def machine_path(path, text):
    if path.startswith("tests/"):
        return []
    return [(line_of(text, m.start(1)), f"{m.group(1)} is a path of one machine")
            for m in re.finditer(r"(?:^|[^\w.$}/-])(/(?:work|tmp|home|root)\b)", text, re.M)]


RULES = (includes, co_await_forms, length, trailing_space, unfinished, machine_path)


def sources(root):
    for folder, folders, files in os.walk(root):
        top = os.path.relpath(folder, root) == "."
        folders[:] = sorted(f for f in folders if f + "/" in SOURCES or not top and f != "__pycache__")
        for name in sorted(files):
            if name.endswith(TEXT) or name == "CMakeLists.txt":
                yield os.path.join(folder, name)


def check(root):
    for full in sources(root):
        path = os.path.relpath(full, root).replace(os.sep, "/")
        with open(full, encoding="utf-8", errors="replace") as file:
            text = file.read()
        for rule in RULES:
            for line, message in rule(path, text):
                yield f"{path}:{line}: {message}"


if __name__ == "__main__":
    complaints = list(check(sys.argv[1]))
    print("\n".join(complaints))
    sys.exit(1 if complaints else 0)
