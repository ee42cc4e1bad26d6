"""What this machine can do at most, measured on the spot, beside the servers."""

import os
import statistics
import subprocess
import tempfile
import time

SPACE = 64 * 1024 * 1024  # written before, as a recycled file is
NEW_SPACE = 2 << 30  # at most, for what goes into space that was never written


def file_system(folder):
    """The type of file system that a folder is on."""
    done = subprocess.run(["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True)
    return done.stdout.strip()


def synced_writes(folder, octets, seconds, octets_per_sync=0, new=False):
    """One writer puts records of so many octets into space that was written before (new: into space
    that was only allocated), and waits until they are on stable storage: after each record, or after so
    many octets. Records in a second, and the median milliseconds of a record with its sync."""
    octets_per_sync = octets_per_sync or octets
    size = (NEW_SPACE if new else max(SPACE, 2 * octets)) // octets * octets
    block = os.urandom(octets)
    with tempfile.TemporaryFile(dir=folder) as file:
        if new:
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.write(b"\0" * size)
            file.flush()
        os.fsync(file.fileno())
        times, at, unsynced = [], 0, 0
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            one = time.monotonic()
            written = 0
            while written < octets:
                part = min(octets - written, octets_per_sync - unsynced)
                os.pwrite(file.fileno(), block[written:written + part], at + written)
                written, unsynced = written + part, unsynced + part
                if unsynced == octets_per_sync:
                    os.fdatasync(file.fileno())
                    unsynced = 0
            times.append(time.monotonic() - one)
            at = (at + octets) % size
            if new and at == 0:
                break
        os.fdatasync(file.fileno())
        return len(times) / (time.monotonic() - begin), statistics.median(times) * 1000


def run(options, _work, _name, _results):
    """What the disk does at most: small synced records one after the other, and a long file."""
    rate, median = synced_writes(options.folder, 10240, options.limit_seconds)
    return {"records_per_second": rate, "sync_median_ms": median,
            "bandwidth_mib": sequential(options.folder, options.limit_seconds)}


def sequential(folder, seconds):
    """MiB in a second into space that was written before, with a sync every SPACE octets."""
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SPACE >> 20):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        count = 0
        begin = time.monotonic()
        while time.monotonic() < begin + seconds:
            os.pwrite(file.fileno(), block, count % (SPACE >> 20) << 20)
            count += 1
            if count % (SPACE >> 20) == 0:
                os.fdatasync(file.fileno())  # or it would be the speed of memory
        os.fdatasync(file.fileno())
        return count / (time.monotonic() - begin)


class Disk:
    """The same messages written by one writer, with as many syncs for each as Postrider makes, into new
    or used space as there; in a server's place (measure.Run)."""

    name = "disk"

    def __init__(self, options, work, results):
        self.options, self.work, self.results = options, work, results

    def turn(self):
        per_sync = max(1, round(self.work.load.octets / self.syncs()))
        rate, median = synced_writes(self.options.folder, self.work.load.octets,
                                     self.options.limit_seconds, per_sync,
                                     new=self.work.new_space)
        return {"messages_per_second": rate, "octets_per_sync": per_sync, "sync_median_ms": median}

    def syncs(self):
        """Of a message. Those that messages share are counted at full speed, in the turns before; those
        of a file of its own, under strace."""
        own = self.results.traced_syncs(self.work.name, "postrider") or 0
        shared = self.results.median(self.work.name, "postrider", "spool_syncs_per_message") or 1
        return own if own > 1 else min(1, shared)

    def end(self):
        pass
