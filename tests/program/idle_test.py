"""Many clients that are connected, have said EHLO, and do nothing: what does each cost?

15,000 of them, or as many as the limit on open files allows, from ten loopback addresses. The
resident memory of each is printed, and must not pass 8 KiB; of those under TLS, 2,000, not 28 KiB."""

import json
import os
import resource
import shutil
import socket
import ssl
import tempfile
import unittest
from pathlib import Path

from certificates import Authority
from server import Client, Server, wait_until

WANTED = int(os.environ.get("POSTRIDER_IDLE_SESSIONS", "15000"))
EACH_MAX = 8 * 1024
WANTED_TLS = int(os.environ.get("POSTRIDER_IDLE_TLS_SESSIONS", "2000"))
EACH_TLS_MAX = 28 * 1024


def resident(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Rss")


class Idle(unittest.TestCase):
    @staticmethod
    def connect(port, number):
        client = socket.socket()
        client.settimeout(60)
        client.bind((f"127.0.0.{2 + number % 10}", 0))
        client.connect(("127.0.0.1", port))
        heard = client.recv(4096)
        assert heard.startswith(b"220"), heard
        Idle.say_hello(client)
        return client

    @staticmethod
    def say_hello(client):
        client.sendall(b"EHLO client.example.org\r\n")
        heard = b""
        while b"\n250 " not in b"\n" + heard:
            part = client.recv(4096)
            assert part, heard
            heard += part

    def test_each_costs_little(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        # The server keeps some for deliveries, and says how many it has.
        count = min(WANTED, hard - min(hard // 4, 1500) - 100)
        with Server(smtp="sessions_max = 100000\ncommand_timeout = \"1h\"") as server:
            clients = [self.connect(server.port, number) for number in range(100)]
            before = resident(server.process.pid)
            clients += [self.connect(server.port, number) for number in range(100, count)]
            wait_until(lambda: json.loads(server.ask("status"))["sessions"] == count, "all to be counted")
            each = (resident(server.process.pid) - before) / (count - 100)
            print(f"idle sessions: {count}, {each:.0f} octets resident each")
            self.assertLessEqual(each, EACH_MAX)
            with Client(server.port) as client:
                self.assertIn("250", client.deliver("alice@our.test", "Subject: x\r\n\r\nserved\r\n"))
            for client in clients:
                client.close()
            wait_until(lambda: json.loads(server.ask("status"))["sessions"] == 0, "all to be gone")

    def connect_tls(self, port, number, context):
        client = self.connect(port, number)
        client.sendall(b"STARTTLS\r\n")
        heard = client.recv(4096)
        assert heard.startswith(b"220"), heard
        client = context.wrap_socket(client)
        self.say_hello(client)
        return client

    def test_each_under_tls_costs_little(self):
        folder = Path(tempfile.mkdtemp(prefix="postrider-idle-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        authority = Authority(folder)
        issued = authority.issue("mail.our.test")
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = ssl.create_default_context(cafile=str(authority.root))
            context.check_hostname = False
            context.minimum_version = context.maximum_version = version
            with Server(smtp="sessions_max = 100000\ncommand_timeout = \"1h\"",
                        domain=issued.lines()) as server:
                clients = [self.connect_tls(server.port, n, context) for n in range(100)]
                before = resident(server.process.pid)
                clients += [self.connect_tls(server.port, n, context)
                            for n in range(100, WANTED_TLS)]
                wait_until(lambda: json.loads(server.ask("status"))["sessions"] == WANTED_TLS,
                           "all to be counted")
                each = (resident(server.process.pid) - before) / (WANTED_TLS - 100)
                print(f"idle sessions under {version.name}: {WANTED_TLS}, "
                      f"{each:.0f} octets resident each")
                self.assertLessEqual(each, EACH_TLS_MAX)
                # They live: the first and the last are answered.
                for client in (clients[0], clients[-1]):
                    self.say_hello(client)
                for client in clients:
                    client.close()
                wait_until(lambda: json.loads(server.ask("status"))["sessions"] == 0, "all to be gone")

    def test_near_the_limit_of_files_clients_are_told(self):
        wrapper = ("prlimit", "--nofile=400:400")
        with Server(wrapper=wrapper, smtp="sessions_max = 100000") as server:
            self.assertIn("files=400", server.events("OpenFilesLimit")[0])
            clients = [self.connect(server.port, number) for number in range(300)]
            with Client(server.port) as client:
                self.assertIn("421 4.7.0 Too many connections", client.greeting)
            clients.pop().close()
            wait_until(lambda: json.loads(server.ask("status"))["sessions"] == 299, "one to be gone")
            with Client(server.port) as client:
                self.assertIn("250", client.deliver("alice@our.test", "Subject: x\r\n\r\nserved\r\n"))
            server.wait_for_messages("alice", 1)
            for client in clients:
                client.close()


if __name__ == "__main__":
    unittest.main()
