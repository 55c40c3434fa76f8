"""How much memory an edge's serving process has."""
import re

from support.client import read_file
from support.edge import binary

# A sanitizer's allocator keeps what was freed, and marks what is in use.
SANITIZED = re.search(rb"__[at]san_init", read_file(binary())) is not None


def memory(edge, name="VmRSS"):
    """VmRSS: now; VmHWM: at most, since it was forgotten."""
    status = read_file(f"/proc/{edge.serving_pid()}/status").decode()
    return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) * 1024


def forget_peak(edge):
    with open(f"/proc/{edge.serving_pid()}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def peak_of(edge, act):
    """How much more than before was in use at once."""
    before = memory(edge)
    forget_peak(edge)
    act()
    return memory(edge, "VmHWM") - before
