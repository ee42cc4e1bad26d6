"""Accounts that are kept in databases: SQLite, and a PostgreSQL of the test's own."""

import pwd
import shutil
import sqlite3
import subprocess
import tempfile
import unittest
from pathlib import Path

from auth_test import Scram, challenge
from peer import free_port
from server import LIMIT, wait_until
from submitting import PASSWORD, SubmissionServer, b64, offered, plain

POSTGRES = Path("/usr/lib/postgresql/15/bin")
TABLE = "CREATE TABLE accounts (name text, secret text, label text, send_as text)"


def secrets(*schemes):
    """Made by a server with a users file."""
    with SubmissionServer() as server:
        for scheme in schemes:
            server.add(f"{scheme}@our.test", "--scheme", scheme)
        lines = (server.data / "users").read_text().splitlines()
        return [line.split(" secret=")[1].split()[0] for line in lines]


class Databases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scram, cls.argon = secrets("scram-sha-256", "argon2id")
        cls.rows = [("alice@our.test", cls.scram, None, None),
                    ("alice@our.test", cls.argon, "phone", None),
                    ("app@our.test", cls.scram, "", "app@our.test,@sales.test"),
                    ("broken@our.test", "pencil", None, None)]

    def check(self, server, scram):
        with server.submit() as client:
            self.assertEqual(offered(client),
                             ["SCRAM-SHA-256", "PLAIN", "LOGIN"] if scram else ["PLAIN", "LOGIN"])
        for user, password, code in (("Alice@our.test", PASSWORD, "235"),
                                     ("alice@our.test", "wrong", "535"),
                                     ("broken@our.test", "pencil", "535"),
                                     ("x' OR '1'='1", PASSWORD, "535"),
                                     ("nobody@our.test", PASSWORD, "535")):
            with server.submit() as client:
                reply = client.say(f"AUTH PLAIN {plain(user, password)}")
                self.assertTrue(reply.startswith(code), (user, reply))
        with server.logged_in("app@our.test") as client:
            self.assertTrue(client.say("MAIL FROM:<x@sales.test>").startswith("250"))
            client.say("RSET")
            self.assertTrue(client.say("MAIL FROM:<alice@our.test>").startswith("550 5.7.1"))
        if scram:
            with server.submit() as client:
                dialogue = Scram("alice@our.test", PASSWORD)
                reply = client.say(f"AUTH SCRAM-SHA-256 {b64(dialogue.first)}")
                client.say(b64(dialogue.final(challenge(reply))))
                self.assertTrue(client.say("").startswith("235"))

    def test_sqlite(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "accounts.db"
            settings = f'database = "sqlite:{path}"\nfailures_max = 100'
            with SubmissionServer(accounts=settings) as server:
                with server.submit() as client:
                    reply = client.say(f"AUTH PLAIN {plain('alice@our.test')}")
                    self.assertTrue(reply.startswith("454 4.7.0"), reply)
                wait_until(lambda: len(server.events("AccountStoreFailed")) == 1, "the log")
                with sqlite3.connect(path) as db:
                    db.execute(TABLE)
                    db.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", self.rows)
                self.check(server, scram=False)

    def test_postgresql_that_goes_and_comes_back(self):
        with OwnPostgres() as database:
            database.execute(TABLE)
            for row in self.rows:
                values = ", ".join("NULL" if v is None else f"$q${v}$q$" for v in row)
                database.execute(f"INSERT INTO accounts VALUES ({values})")
            settings = (f'database = "{database.url}"\ndatabase_scram = true\n'
                        'failures_max = 100')
            with SubmissionServer(accounts=settings) as server:
                self.check(server, scram=True)
                database.stop()
                with server.submit() as client:
                    reply = client.say(f"AUTH PLAIN {plain('alice@our.test')}")
                    self.assertTrue(reply.startswith("454 4.7.0"), reply)
                database.start()
                server.logged_in("alice@our.test").close()


class OwnPostgres:
    """It refuses to run as root, so it runs as the user that its package has made."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="postrider-pg-"))
        shutil.chown(self.folder, "postgres", pwd.getpwnam("postgres").pw_gid)
        self.port = free_port()
        self.process = None
        self.run("initdb", "-D", self.folder / "data", "-U", "postrider", "-A", "trust", "-N")
        self.url = f"postgresql://postrider@127.0.0.1:{self.port}/postgres"
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program, *words):
        return subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
                               POSTGRES / program, *map(str, words)], check=True, timeout=LIMIT,
                              capture_output=True, cwd=self.folder)

    def start(self):
        self.process = subprocess.Popen(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups",
             POSTGRES / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k",
             self.folder, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        wait_until(self.answers, "PostgreSQL to answer")

    def answers(self):
        return subprocess.run([POSTGRES / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)],
                              stdout=subprocess.DEVNULL, timeout=LIMIT).returncode == 0

    def stop(self):
        if self.process:
            self.process.send_signal(2)  # fast: sessions are ended
            self.process.wait(LIMIT)
            self.process = None

    def execute(self, statement):
        subprocess.run([POSTGRES / "psql", "-q", "-v", "ON_ERROR_STOP=1", self.url, "-c", statement],
                       check=True, timeout=LIMIT, capture_output=True)


if __name__ == "__main__":
    unittest.main()
