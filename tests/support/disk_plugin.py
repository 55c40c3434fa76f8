"""An nbdkit plugin: a disk with a write cache, which loses at a power cut what was not flushed.

`image` holds what was flushed. What was written since is kept apart, in memory and in `log`, where the cut finds
it: see support/disk.py. `faults` is a JSON file that may be changed at any time:
    {"fail_reads": [[first, end], ...], "fail_writes": [[first, end], ...], "delay": seconds}
"""
import errno
import json
import mmap
import os
import struct
import time

import nbdkit

API_VERSION = 2
RECORD = struct.Struct("<QQ")  # of the log: offset, length; then the bytes

paths = {}
faults, faults_version = {}, None
image = log = view = None
unflushed = []


def config(key, value):
    paths[key] = value


def config_complete():
    pass


def thread_model():
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def after_fork():
    global image, log, view
    image = os.open(paths["image"], os.O_RDWR)
    log = os.open(paths["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    view = mmap.mmap(image, 0, access=mmap.ACCESS_COPY)  # what is written to it never reaches the image


def open(readonly):
    return 1


def get_size(handle):
    return len(view)


def can_fua(handle):
    return nbdkit.FUA_EMULATE  # a flush after the write


def suffer(kind, offset, length):
    global faults, faults_version
    try:
        version = os.stat(paths["faults"]).st_mtime_ns
        if version != faults_version:
            with io_open(paths["faults"]) as file:
                faults = json.load(file)
            faults_version = version
    except FileNotFoundError:
        return
    time.sleep(faults.get("delay", 0))
    for first, end in faults.get(kind, ()):
        if first < offset + length and offset < end:
            nbdkit.set_error(errno.EIO)
            raise OSError(errno.EIO, "a fault that was asked for")


def pread(handle, buffer, offset, flags):
    suffer("fail_reads", offset, len(buffer))
    buffer[:] = view[offset:offset + len(buffer)]


def pwrite(handle, buffer, offset, flags):
    suffer("fail_writes", offset, len(buffer))
    data = bytes(buffer)
    view[offset:offset + len(data)] = data
    unflushed.append((offset, data))
    os.write(log, RECORD.pack(offset, len(data)) + data)


def flush(handle, flags):
    suffer("fail_writes", 0, 0)
    for offset, data in unflushed:
        os.pwrite(image, data, offset)
    unflushed.clear()
    os.ftruncate(log, 0)


import io  # noqa: E402  (open above is nbdkit's)
io_open = io.open
