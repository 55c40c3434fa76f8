"""The gate of the whole run: what did not pass fails it, whatever the reason."""
import os
import subprocess
import sys
import tempfile
import unittest

TALLY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tally.py")


class Tally(unittest.TestCase):
    def run_on(self, *texts, broken=0, lines=1, options=()):
        """(code, last line or more) for JUnit files with these contents."""
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, text in enumerate(texts):
                files.append(os.path.join(folder, f"{number}.xml"))
                with open(files[-1], "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([sys.executable, TALLY, *options, "--broken", str(broken), *files],
                                  capture_output=True, text=True, check=False)
        return done.returncode, "\n".join(done.stdout.splitlines()[-lines:])

    def suite(self, *cases):
        return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"

    PASSED = '<testcase name="a"/>'

    def test_all_passed_over_several_files(self):
        ctest = self.suite('<testcase name="b" status="run"/>')
        self.assertEqual(self.run_on(self.suite(self.PASSED), ctest), (0, "2 passed, 0 failed"))

    def test_whatever_else_became_of_a_test_fails_the_run(self):
        for case in ('<testcase name="b"><failure/></testcase>',                    # pytest, ctest
                     '<testcase name="b"><error/></testcase>',                      # pytest: in a fixture
                     '<testcase name="b"><skipped/></testcase>',                    # pytest
                     '<testcase name="b" status="fail"><failure/></testcase>',      # ctest
                     '<testcase name="b" status="notrun"><skipped/></testcase>',    # ctest: GTEST_SKIP, no executable
                     '<testcase name="b" status="disabled"><skipped/></testcase>',  # ctest: DISABLED_
                     '<testcase name="b" status="notrun"/>'):
            self.assertEqual(self.run_on(self.suite(self.PASSED, case)), (1, "1 passed, 1 failed"), case)

    def test_a_run_that_left_no_results_fails(self):
        for text in ("", "<testsuites/>", "<testsuites><testsuite>"):
            self.assertEqual(self.run_on(self.suite(self.PASSED), text), (1, "1 passed, 1 failed"), text)

    def test_a_stage_that_was_broken_before_its_tests_fails(self):
        self.assertEqual(self.run_on(self.suite(self.PASSED), broken=1), (1, "1 passed, 1 failed"))

    def test_what_took_long_is_told_the_longest_first(self):
        suite = self.suite(*(f'<testcase classname="c" name="{name}" time="{time}"/>'
                             for name, time in (("a", 2.5), ("b", 0.5), ("d", 70))))
        code, said = self.run_on(suite, lines=9, options=("--over", "1"))
        self.assertEqual(code, 0)
        self.assertRegex(said, r"^    70\.0 s  c\.d \(\S+\)\n     2\.5 s  c\.a \(\S+\)\n3 passed, 0 failed$")

    def test_no_tests_at_all_are_no_success(self):
        self.assertEqual(self.run_on(), (1, "0 passed, 0 failed"))


if __name__ == "__main__":
    unittest.main()
