"""A full disk: 452, outcomes are still written, and service comes back by itself."""

import ctypes
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from server import Server, wait_until

MESSAGE = "Subject: x\r\n\r\n" + ("text " * 14 + "\r\n") * 20


class FullDisk(unittest.TestCase):
    """Runs in a mount namespace of its own (see main below), with the spool on a small tmpfs."""

    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="postrider-full-"))
        self.data = self.directory / "data"
        self.small = self.data / "spool"
        self.small.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(self.small)],
                       check=True)

    def tearDown(self):
        subprocess.run(["umount", "-l", str(self.small)], check=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def fill(self):
        with open(self.small / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass

    def test_gives_452_writes_outcomes_and_serves_again(self):
        with Server(directory=self.directory, segment="2 MiB", min_free="4 MiB") as server:
            mail = self.data / "mail"
            mail.write_text("in the way: nothing can be delivered")
            with server.connect() as client:
                for _ in range(20):
                    self.assertTrue(client.deliver("alice@our.test", MESSAGE).startswith("250"))
                self.fill()
                # The segment in use may still have room for some.
                replies = []
                for _ in range(3000):
                    replies.append(client.deliver("alice@our.test", MESSAGE))
                    if not replies[-1].startswith("250"):
                        break
                self.assertTrue(replies[-1].startswith("452 4.3.1"), replies[-1])
                accepted = 20 + len(replies) - 1

                # Outcomes are written on the full disk.
                mail.unlink()
                server.wait_for_messages("alice", accepted)
                wait_until(lambda: '"entries": 0' in server.ask("status"), "an empty queue")
                self.assertEqual(server.events("OutcomeNotRecorded"), [])

            # Service comes back when there is room.
            (self.small / "filler").unlink()
            wait_until(lambda: self.is_taken(server), "a 250")
            server.wait_for_messages("alice", accepted + 1)
            self.assertEqual(len(server.messages("alice")), accepted + 1)

    @staticmethod
    def is_taken(server):
        """In a session of its own: one that hears no 250 for long is ended."""
        with server.connect() as client:
            return client.deliver("alice@our.test", MESSAGE).startswith("250")

    def test_a_read_only_disk_is_4yz_for_whom_it_concerns_and_passes(self):
        folder = self.small / "large"
        folder.mkdir()
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
        with Server(directory=self.directory, segment="2 MiB", min_free="1 MiB") as server:
            large = "Subject: x\r\n\r\n" + ("text " * 14 + "\r\n") * 5000
            with server.connect() as client:
                subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
                reply = client.deliver("alice@our.test", large)
                self.assertRegex(reply, r"^45[12] 4\.3\.")
                self.assertTrue(client.deliver("alice@our.test", MESSAGE).startswith("250"))
                subprocess.run(["mount", "-o", "remount,bind,rw", str(folder)], check=True)
                self.assertTrue(client.deliver("alice@our.test", large).startswith("250"))
            server.wait_for_messages("alice", 2)
        subprocess.run(["umount", "-l", str(folder)], check=True)


CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000

if __name__ == "__main__":
    # A mount namespace of our own; without root, root of a user namespace.
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNS if os.geteuid() == 0 else CLONE_NEWNS | CLONE_NEWUSER
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(flags) != 0:
        raise SystemExit(f"unshare: {os.strerror(ctypes.get_errno())}")
    if flags & CLONE_NEWUSER:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    unittest.main()
