#!/usr/bin/env python3
"""Runs the fuzz targets: each over its corpus, then for a while with new inputs.

    run.py BUILD RESULTS [TARGET...]    BUILD: a build folder of the preset fuzz; all targets where none is named
        --seconds N    of new inputs for each target: 8 unless told; 600 with ENTREPOT_LONG=1
        --seed N       of the first target, the others count on from it: 1, in the long form by the clock
        --runs N       inputs at most: 1000, in the long form as many as the time is for

An input that breaks a property, crashes, leaks, or takes over two seconds or the memory allowed is kept as
RESULTS/fuzz-TARGET-HASH. RESULTS/fuzz.xml is JUnit's; what was found to lead further stays in BUILD/corpus.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS_AN_INPUT = 2
LIMITS = [f"-timeout={SECONDS_AN_INPUT}", "-rss_limit_mb=1024", "-malloc_limit_mb=512"]
# Sessions: what one connection sends. The comparison of cuts holds below the limits on what is buffered.
MAX_BYTES = {"http1": 4096, "http2": 4096, "footer": 16384}


def is_slow(binary, path):
    """Does the input take that long of processor time? The clock tells of other work on the machine, too."""
    child = subprocess.Popen([binary, "-timeout=60", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime > SECONDS_AN_INPUT


class Target:
    def __init__(self, name, options):
        self.name = name
        self.binary = os.path.join(options.build, "tests", "fuzz", f"{name}_fuzz")
        self.corpus = os.path.join(HERE, "corpus", name)
        self.found = os.path.join(options.build, "corpus", name)
        self.results = options.results
        os.makedirs(self.found, exist_ok=True)

    def run(self, *arguments):
        """(output, what went wrong, "" when nothing did)."""
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([self.binary, *LIMITS, f"-artifact_prefix={folder}/", *arguments],
                                  capture_output=True, text=True, errors="replace", check=False)
            if done.returncode == 0:
                return done.stderr, ""
            kept = [self.keep(path) for path in glob.glob(f"{folder}/*")]
        wrong = [path for path in kept if path]
        if kept and not wrong:
            return done.stderr, ""
        repeat = "".join(f"\nrepeat: {self.binary} {path}" for path in wrong)
        return done.stderr, f"{arguments}: ended with {done.returncode}{repeat}\n{done.stderr[-6000:]}"

    def keep(self, artifact):
        """Where the input is kept; "" for one that was slow only by the clock."""
        kind, *_, digest = os.path.basename(artifact).split("-")
        if kind == "slow" or (kind == "timeout" and not is_slow(self.binary, artifact)):
            print(f"{self.name}: {digest} was slow by the clock only, what came after it was left out", flush=True)
            return ""
        path = os.path.join(self.results, f"fuzz-{self.name}-{digest[:16]}")
        with open(artifact, "rb") as source, open(path, "wb") as to:
            to.write(source.read())
        return path

    def over_corpus(self):
        if not os.listdir(self.corpus):
            return f"{self.corpus} is empty"
        return self.run("-runs=0", self.corpus)[1]

    def with_new_inputs(self, seconds, runs, seed):
        dictionary = os.path.join(HERE, "dictionaries", f"{self.name}.dict")
        arguments = [f"-max_total_time={seconds}", f"-runs={runs}", f"-seed={seed}", f"-max_len={MAX_BYTES.get(self.name, 65536)}",
                     "-print_final_stats=1", self.found, self.corpus]
        if os.path.exists(dictionary):
            arguments.insert(0, f"-dict={dictionary}")
        said, wrong = self.run(*arguments)
        executions = re.findall(r"number_of_executed_units: (\d+)", said)
        coverage = re.findall(r" cov: (\d+) ft: (\d+)", said)
        edges, features = coverage[-1] if coverage else ("?", "?")
        print(f"{self.name}: {executions[-1] if executions else '?'} inputs, {edges} edges, {features} features, "
              f"-seed={seed}", flush=True)
        return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("results")
    parser.add_argument("targets", nargs="*")
    long = os.environ.get("ENTREPOT_LONG") == "1"
    parser.add_argument("--seconds", type=int, default=600 if long else 8)
    # The short form does the same each time: what it finds is what a change has brought.
    parser.add_argument("--seed", type=int, default=int(time.time()) if long else 1)
    parser.add_argument("--runs", type=int, default=-1 if long else 1000)
    options = parser.parse_intermixed_args()
    options.build, options.results = os.path.abspath(options.build), os.path.abspath(options.results)
    known = sorted(os.path.basename(path)[:-8] for path in glob.glob(f"{HERE}/*_fuzz.cc"))
    os.makedirs(options.results, exist_ok=True)

    suite = ElementTree.Element("testsuite", name="fuzz")

    def case(target, what, wrong):
        element = ElementTree.SubElement(suite, "testcase", name=f"{target.name} {what}")
        if wrong:
            ElementTree.SubElement(element, "failure").text = re.sub(r"[^\t\n\x20-\x7e]", "?", wrong)
            print(f"{target.name} {what}: {wrong}", flush=True)

    def both(numbered):
        number, name = numbered
        target = Target(name, options)
        return target, target.over_corpus(), target.with_new_inputs(options.seconds, options.runs, options.seed + number)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for target, old, new in pool.map(both, enumerate(options.targets or known)):
            case(target, "over its corpus", old)
            case(target, f"with new inputs for {options.seconds} s", new)
    ElementTree.ElementTree(suite).write(os.path.join(options.results, "fuzz.xml"))
    return 1 if suite.find(".//failure") is not None else 0


if __name__ == "__main__":
    sys.exit(main())
