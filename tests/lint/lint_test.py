#!/usr/bin/env python3
"""For each rule of lint.py: what it refuses, and what looks like it and passes."""
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lint  # noqa: E402


def lines(rule, path, text):
    return [line for line, _ in rule(path, text)]


class Includes(unittest.TestCase):
    def test_point_one_way(self):
        for path, text in (("cache/a.h", '#include "resolver/x.h"\n'),
                           ("cache/a.h", '#include "proxy/x.h"\n'),
                           ("resolver/a.cc", '#include "proxy/io/x.h"\n'),
                           ("resolver/a.cc", "#include <event2/event.h>\n"),
                           ("cache/a.cc", "#include <curl/curl.h>\n"),
                           ("resolver/a.cc", "co_return 1;\n")):
            self.assertEqual(lines(lint.includes, path, text), [1], text)

    def test_downward_is_fine(self):
        for path, text in (("resolver/a.cc", '#include "cache/x.h"\n'),
                           ("proxy/a.cc", '#include "resolver/x.h"\n'),
                           ("cache/a.cc", '#include "cache/x.h"\n#include <openssl/evp.h>\n'),
                           ("tests/a.cc", '#include "proxy/x.h"\n'),
                           ("cache/a.cc", "// no co_await here\n")):
            self.assertEqual(lines(lint.includes, path, text), [], text)


class CoAwait(unittest.TestCase):
    def refused(self, text, times=1):
        found = lint.co_await_forms("proxy/a.cc", "io::Task<void> f() {\n" + text + "\n}\n")
        self.assertEqual(len(found), times, (text, found))

    def passes(self, text):
        self.refused(text, 0)

    def test_lambda_in_the_expression(self):
        self.refused("  auto r = co_await pool.run(loop, [x] { return x; });")
        self.refused("  auto r = co_await pool.run(loop, [] () mutable -> int { return 1; });")
        self.refused("  use([&](int a) { return a; }, co_await g());")

    def test_lambda_named_first(self):
        self.passes("  auto job = [x] { return x; };\n  auto r = co_await pool.run(loop, std::move(job));")
        self.passes("  a[i] = co_await g(b[j]);")

    def test_braced_temporary(self):
        self.refused('  co_await g({"x", 1});')
        self.refused("  auto r = co_await g(Thing{1, 2});")

    def test_block_behind_a_condition(self):
        self.passes("  if (!co_await g()) {\n    h();\n  }")
        self.passes("  while (co_await g(1)) { h(); }")
        self.passes("  for (int i = 0; i < 3; ++i) {\n    co_await g();\n  }")
        self.passes("  if (a) {\n    b();\n  } else {\n    co_await g();\n  }")

    def test_initialiser_in_braces(self):
        self.refused("  Thing t{co_await g()};")
        self.refused("  return Thing{1, co_await g()};")

    def test_switch(self):
        self.refused("  switch (co_await g()) { case 1: break; }")
        self.passes("  const int r = co_await g();\n  switch (r) { case 1: co_await h(); break; }")

    def test_structured_binding(self):
        self.refused("  auto [a, b] = co_await g();")
        self.refused("  const auto& [a, b] = co_await g();")
        self.passes("  auto both = co_await g();\n  auto [a, b] = both;")

    def test_statement_expression(self):
        # Counted twice: as far as braces tell it is an initialiser too.
        self.refused("  int x = ({ auto r = co_await g(); r; });", 2)

    def test_capturing_coroutine(self):
        self.refused("  auto t = [x]() -> io::Task<void> { co_await g(); };")
        self.refused("  auto t = [&]() -> io::Task<int> { co_return 1; };")
        self.passes("  auto t = [](int x) -> io::Task<int> { co_return x; };")

    def test_symmetric_transfer(self):
        self.refused("  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) { return h; }")
        self.passes("  bool await_suspend(std::coroutine_handle<> h) { return true; }")

    def test_comments_and_strings_say_nothing(self):
        self.passes('  // co_await g({1});\n  log("co_await g({1})");\n  x = 1\'000\'000;\n  co_await g();')


class Text(unittest.TestCase):
    def test_long_file_needs_a_reason(self):
        body = "int x;\n" * (lint.MAX_LINES + 1)
        self.assertEqual(lines(lint.length, "proxy/a.cc", "// A table.\n" + body), [1])
        reason = "// A table: long, since it has a row per directive.\n"
        self.assertEqual(lines(lint.length, "proxy/a.cc", reason + body), [])
        self.assertEqual(lines(lint.length, "proxy/a.cc", "// Words belong to it.\n" + body), [1])
        self.assertEqual(lines(lint.length, "proxy/a.cc", "int x;\n" * lint.MAX_LINES), [])

    def test_trailing_space(self):
        self.assertEqual(lines(lint.trailing_space, "README.md", "a\nb \nc\t\n"), [2, 3])
        self.assertEqual(lines(lint.trailing_space, "README.md", "a\n\n b\n"), [])

    def test_unfinished(self):
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
            self.assertEqual(lines(lint.unfinished, "proxy/a.cc", f"// {word}: later\n"), [1])
        self.assertEqual(lines(lint.unfinished, "proxy/a.cc", "int TODOS;\n"), [])

    def test_machine_path(self):
        self.assertEqual(lines(lint.machine_path, "proxy/a.cc", 'open("/tmp/x");\n'), [1])
        self.assertEqual(lines(lint.machine_path, "bench/a.sh", "cd /work/main\n"), [1])
        self.assertEqual(lines(lint.machine_path, "cache/a.cc", 'path + "/tmp/"; // tmp/<epoch>\n'), [1])
        relative = "// the directory tmp/<epoch>, a/work, /workers\n"
        self.assertEqual(lines(lint.machine_path, "cache/a.cc", relative), [])
        self.assertEqual(lines(lint.machine_path, "tests/a.cc", 'open("/tmp/x");\n'), [])


class Tree(unittest.TestCase):
    def test_a_bad_file_is_found_and_named(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "cache"))
            with open(os.path.join(root, "cache", "a.cc"), "w", encoding="utf-8") as file:
                file.write('int x;\n#include "proxy/b.h"\n')
            self.assertEqual(list(lint.check(root)), ["cache/a.cc:2: cache/ must not include proxy/"])


if __name__ == "__main__":
    unittest.main()
