"""A server with a submission listener, accounts on it, and what tests say to it."""

import base64
import subprocess

from server import LIMIT, Client, Server

PASSWORD = "pencil and paper"


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(user, password=PASSWORD, act_as=""):
    return b64(f"{act_as}\0{user}\0{password}")


class SubmissionServer(Server):
    """Server with a second listener of kind submission. `accounts` and `submission` are the keys of
    those sections; passwords are taken on loopback without TLS unless `closed`."""

    def __init__(self, accounts="", submission="", closed=False, listener="", more="", **settings):
        networks = "" if closed else 'open_networks = ["127.0.0.0/8"]'
        settings["domain"] = f"""{settings.get("domain", "")}
[[listener]]
address = "127.0.0.1:0"
kind = "submission"
{listener}

[accounts]
{networks}
{accounts}

[submission]
{submission}
{more}
"""
        super().__init__(**settings)

    @property
    def submission_port(self):
        return self.ports[1]

    def account(self, *words, password=None, check=True):
        done = subprocess.run(
            [self.binary, "account", *words, "--socket", str(self.admin_socket)],
            input=None if password is None else password + "\n",
            capture_output=True, text=True, timeout=LIMIT)
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: {done.stderr}{done.stdout}")
        return done

    def add(self, name, *words, password=PASSWORD):
        self.account("add", name, *words, password=password)

    def submit(self):
        """A connection behind its EHLO."""
        client = Client(self.submission_port)
        client.hello = client.say("EHLO client.example.org")
        return client

    def logged_in(self, user, password=PASSWORD):
        client = self.submit()
        reply = client.say(f"AUTH PLAIN {plain(user, password)}")
        assert reply.startswith("235"), reply
        return client


def offered(client):
    line = [line[4:] for line in client.hello.splitlines() if line[4:].startswith("AUTH")]
    return line[0].split()[1:] if line else []
