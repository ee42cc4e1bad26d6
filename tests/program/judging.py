"""What the tests of authentication share: zones that they write and NSD serves, keys by openssl,
clients at several loopback addresses. Whoever uses it calls run_inside() at the end of the file, for a
network namespace of its own."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import dkim

from name_server import NameServer
from server import LIMIT, Client, Server, wait_until

FRIEND, AUTHOR, FORGER, LIST, FAR = (f"127.0.0.{n}" for n in (1, 30, 66, 40, 50))

HEAD = """$ORIGIN {name}.
$TTL 60
@ SOA ns.{name}. hostmaster.{name}. 1 7200 3600 86400 1
@ NS ns
ns A 127.0.0.1
"""

# What stands in the zones, beside the head of each.
ZONES = {
    "plain.test": "",
    "example.org": "",  # of EHLO
    "test": "",         # where DMARC's walks end
    "author.test": f'@ TXT "v=spf1 ip4:{AUTHOR} -all"\n_dmarc TXT "v=DMARC1; p=reject"\n',
    "soft.test": '@ TXT "v=spf1 ~all"\n_dmarc TXT "v=DMARC1; p=quarantine"\n',
    "watch.test": '@ TXT "v=spf1 -all"\n_dmarc TXT "v=DMARC1; p=none"\n',
    # bücher.test
    "xn--bcher-kva.test": f'@ TXT "v=spf1 ip4:{AUTHOR} -all"\n_dmarc TXT "v=DMARC1; p=reject"\n',
    "list.test": "",
    "far.test": f"@ MX 10 mx\nmx A {FAR}\n",
    "our.test": "",
    "wrong.test": "",   # whose records are not what they should be
}

SETTINGS = """
[resolver]
forwarders = ["127.0.0.1:53"]
"""

folder = None
names = None
keys = {}


def write_zone(name, records):
    (folder / f"{name}.zone").write_text(HEAD.format(name=name) + records)


def is_free():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", 53))
        except OSError:
            return False
        return True


def publish(name, records):
    """The zone has these records from now on."""
    write_zone(name, records)
    names.stop()
    wait_until(is_free, "NSD's port to be free")
    names.start()


def strings(text):
    return " ".join(f'"{text[at:at + 250]}"' for at in range(0, len(text), 250))


def make_record(pem):
    """The key again, and its record."""
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=pem,
                            capture_output=True, check=True).stdout
    return pem, "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()


def make_key(bits):
    """A private key as PEM, and its record."""
    return make_record(subprocess.run(["openssl", "genrsa", "-traditional", str(bits)],
                                      capture_output=True, check=True).stdout)


def start_names():
    global folder, names
    folder = Path(tempfile.mkdtemp(prefix="postrider-zones-"))
    huge = (Path(__file__).resolve().parent / "testdata" / "rsa8192.pem").read_bytes()
    for selector, pem in (("good", make_key(2048)[0]), ("huge", huge)):
        keys[selector], record = make_record(pem)
        for name in ("author.test", "list.test", "xn--bcher-kva.test"):
            ZONES[name] += f"{selector}._domainkey TXT {strings(record)}\n"
    for name, records in ZONES.items():
        write_zone(name, records)
    names = NameServer(*ZONES, folder=folder)
    names.start()


def stop_names():
    names.__exit__()
    shutil.rmtree(folder, ignore_errors=True)


class From(Client):
    """A client with an address of its own."""

    def __init__(self, port, source):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT, (source, 0))
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()


def judging(verdict="", domain="", **settings):
    return Server(verdict=verdict, smtp_networks=f'["{FRIEND}/32"]', domain=domain + SETTINGS,
                  **settings)


def message(author, text="hello\r\n", more=""):
    return f"{more}From: {author}\r\nTo: alice@our.test\r\nSubject: a test\r\n\r\n{text}"


def signed(author, selector="good", text="hello\r\n", domain="author.test"):
    content = message(author, text).encode()
    return (dkim.sign(content, selector.encode(), domain.encode(), keys[selector],
                      canonicalize=(b"relaxed", b"relaxed")) + content).decode()


def send(server, source, content, sender="x@plain.test", to="alice@our.test"):
    with From(server.port, source) as client:
        return client.deliver(to, content, sender=sender)


def arrived(server, path="", user="alice"):
    """The only message in a mailbox or a folder of it."""
    where = server.maildir(user) / path / "new"
    found = wait_until(lambda: where.is_dir() and list(where.iterdir()), f"a message in {where}")
    assert len(found) == 1, found
    return found[0].read_text(errors="replace")


def zone_text(name):
    return (folder / f"{name}.zone").read_text()


INSIDE = "POSTRIDER_TEST_NETWORK"


def run_inside():
    """All tests of the file, in a network namespace of our own; without root, root of a user
    namespace."""
    if INSIDE not in os.environ:
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *as_root, "--net", "--", sys.executable, *sys.argv],
                   {**os.environ, INSIDE: "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    unittest.main()
