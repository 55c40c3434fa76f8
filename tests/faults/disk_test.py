"""The disk that the others stand on: what it loses, what it keeps."""
import ctypes
import os

WRITE_AND_WAIT = 7  # sync_file_range(2): before, write, after


def sync_file_range(descriptor, offset, length):
    call = ctypes.CDLL(None, use_errno=True).sync_file_range
    return call(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), WRITE_AND_WAIT)


def write(path, data, sync):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())
            folder = os.open(os.path.dirname(path), os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def test_what_was_synced_outlives_a_cut_and_what_was_not_does_not(disk):
    data = os.urandom(1 << 20)
    for number in range(5):
        synced, unsynced = (os.path.join(disk.folder, f"{kind}{number}") for kind in ("synced", "unsynced"))
        write(synced, data, sync=True)
        write(unsynced, data, sync=False)
        disk.cut()
        assert read(synced) == data
        assert read(unsynced) != data


def test_of_what_is_written_over_and_not_synced_a_cut_keeps_a_part(disk):
    """The blocks have their place, so only their content is at stake: half of it comes through, some of it torn."""
    size = 8 << 20
    path = os.path.join(disk.folder, "file")
    write(path, bytes(size), sync=True)
    with open(path, "r+b") as file:
        for at in range(0, size, 64 << 10):
            file.seek(at)
            file.write(b"x" * (64 << 10))
            file.flush()
            # Written to the disk's cache; the disk is not told to flush it.
            assert sync_file_range(file.fileno(), at, 64 << 10) == 0
    disk.cut()
    data = read(path)
    kept = data.count(b"x")
    assert disk.unflushed > disk.kept > 0
    assert size / 10 < kept < size * 9 / 10
    sectors = {data[at:at + 512] for at in range(0, size, 512)}
    assert sectors == {b"x" * 512, bytes(512)}
