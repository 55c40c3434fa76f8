"""Checks every source of a configured build folder with that folder's compiler, and writes no object.

    syntax_only.py BUILD JUNIT TARGET    one test case for each source, all warnings as the build has them, but for
                                         what building TARGET has compiled with them already
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree


def object_of(entry):
    words = shlex.split(entry["command"])
    return words[words.index("-o") + 1]


def check(entry):
    """(source, what the compiler said, "" when it is content)."""
    words = shlex.split(entry["command"])
    output = words.index("-o")
    words[output:output + 2] = ["-fsyntax-only"]
    words.remove("-c")
    done = subprocess.run(words, cwd=entry["directory"], capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return entry["file"], said if done.returncode else ""


def main():
    build, junit, target = sys.argv[1:]
    compiled = set(subprocess.run(["ninja", "-C", build, "-t", "inputs", target], capture_output=True, text=True,
                                  check=True).stdout.splitlines())
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = [entry for entry in json.load(file) if object_of(entry) not in compiled]
    suite = ElementTree.Element("testsuite", name="syntax")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, said in pool.map(check, entries):
            case = ElementTree.SubElement(suite, "testcase", name=os.path.relpath(source))
            if said:
                ElementTree.SubElement(case, "failure").text = said
                print("\n".join(said.splitlines()[:30]), flush=True)
    ElementTree.ElementTree(suite).write(junit)


if __name__ == "__main__":
    main()
