"""Which versions of clients and servers a test ran with.

A file of tests/clients says whom it is about: `PROGRAMS = ("skopeo", "docker-registry")`; its conftest.py prints their
versions at the end of the run, and puts them into the JUnit file as a property of each test.
"""
import functools
import re
import subprocess

from support.daemons import Verdaccio

# What prints it; the first number of that is the version.
COMMANDS = {
    "apt": ["/usr/bin/apt-get", "--version"],
    "chromium-headless-shell": ["chromium-headless-shell", "--version"],
    "buildah": ["buildah", "--version"],
    "curl": ["curl", "--version"],
    "docker-registry": ["docker-registry", "--version"],
    "dpkg": ["/usr/bin/dpkg", "--version"],
    "gpg": ["/usr/bin/gpg", "--version"],
    "h2load": ["h2load", "--version"],
    "mvn": ["/usr/bin/mvn", "--version"],
    "nghttp": ["nghttp", "--version"],
    "nginx": ["/usr/sbin/nginx", "-v"],
    "node": ["node", "--version"],
    "npm": ["/usr/bin/npm", "--version"],
    "pip": ["/usr/bin/pip3", "--version"],
    "python3": ["/usr/bin/python3", "--version"],
    "skopeo": ["skopeo", "--version"],
}


@functools.cache
def version_of(program):
    """ "skopeo 1.9.3". A program that is not there fails whoever asks."""
    if program == "verdaccio":
        return f"verdaccio {Verdaccio.version()}"
    done = subprocess.run(COMMANDS[program], capture_output=True, text=True, check=False, timeout=300,
                          stdin=subprocess.DEVNULL)
    found = re.search(r"\d+\.\d[\w.+~-]*", done.stdout + done.stderr)
    assert done.returncode == 0 and found, f"{program} tells no version:\n{done.stdout}{done.stderr}"
    return f"{program} {found.group()}"


def versions_of(programs):
    return ", ".join(version_of(program) for program in programs)
