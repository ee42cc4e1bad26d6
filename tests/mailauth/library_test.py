"""mailauth as a library that others use without the server: judge_message.cc links nothing else of
Postrider and asks the DNS by the C library. NSD serves the zones, dkimpy signs. Runs in a network
namespace of its own (see the end)."""

import base64
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import dkim

PROGRAM = Path(__file__).resolve().parents[1] / "program"
sys.path.insert(0, str(PROGRAM))

from name_server import NameServer  # noqa: E402

HEAD = """$ORIGIN {name}.
$TTL 60
@ SOA ns.{name}. hostmaster.{name}. 1 7200 3600 86400 1
@ NS ns
ns A 127.0.0.1
"""
MESSAGE = b"From: Ann <ann@author.test>\r\nTo: bob@b.test\r\nSubject: a test\r\n\r\nhello\r\n"


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="postrider-library-")
        cls.pem = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], check=True,
                                 capture_output=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=cls.pem,
                                check=True, capture_output=True).stdout
        record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        strings = " ".join(f'"{record[at:at + 200]}"' for at in range(0, len(record), 200))
        zones = {
            "test": "",
            "author.test": f'@ MX 10 mx\nmx A 192.0.2.1\n@ TXT "v=spf1 mx -all"\n'
                           f's._domainkey TXT {strings}\n_dmarc TXT "v=DMARC1; p=reject"\n',
            "other.test": '@ TXT "v=spf1 include:author.test ~all"\n',
        }
        for name, records in zones.items():
            (Path(cls.folder.name) / f"{name}.zone").write_text(HEAD.format(name=name) + records)
        cls.names = NameServer(*zones, folder=cls.folder.name)
        cls.names.start()

    @classmethod
    def tearDownClass(cls):
        cls.names.__exit__()
        cls.folder.cleanup()

    def judge(self, message, client, sender):
        done = subprocess.run([JUDGE, client, "mx.author.test", sender], input=message,
                              capture_output=True, timeout=60,
                              env={**os.environ, "POSTRIDER_NAME_SERVER": "127.0.0.1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def signed(self):
        return dkim.sign(MESSAGE, b"s", b"author.test", self.pem) + MESSAGE

    def test_a_true_message(self):
        field = self.judge(self.signed(), "192.0.2.1", "ann@author.test")
        for result in ("spf=pass", "smtp.mailfrom=author.test", "dkim=pass", "header.d=author.test",
                       "dmarc=pass", "header.from=author.test"):
            self.assertIn(result, field)

    def test_a_changed_message_from_elsewhere(self):
        field = self.judge(self.signed().replace(b"hello", b"hallo"), "203.0.113.9", "x@other.test")
        for result in ("spf=softfail", "dkim=fail", "dmarc=fail"):
            self.assertIn(result, field)

    def test_an_aligned_sender_without_a_signature(self):
        field = self.judge(MESSAGE, "192.0.2.1", "ann@author.test")
        self.assertIn("dmarc=pass", field)
        self.assertNotIn("dkim=", field)

    def test_a_domain_that_does_not_exist(self):
        field = self.judge(MESSAGE, "192.0.2.1", "x@nowhere.test")
        self.assertIn("spf=none", field)
        self.assertIn("dmarc=fail", field)


JUDGE = sys.argv.pop(1)
INSIDE = "POSTRIDER_TEST_NETWORK"

if __name__ == "__main__":
    if INSIDE not in os.environ:
        # A network namespace of our own; without root, root of a user namespace.
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        os.execvpe("unshare", ["unshare", *as_root, "--net", "--", sys.executable, sys.argv[0],
                               JUDGE, *sys.argv[1:]], {**os.environ, INSIDE: "1"})
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    unittest.main()
