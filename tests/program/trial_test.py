"""`postrider serve --try`: a server without a configuration, with TLS by a certificate of its own."""

import re
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import unittest
from pathlib import Path

from server import LIMIT, program, wait_until

CONTENT = b"Subject: a first one\r\n\r\ntext\r\n"


class Trial(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="postrider-trial-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.process = None
        self.addCleanup(self.stop)

    def start(self):
        self.told = self.folder / "told"
        with open(self.told, "wb") as told:
            self.process = subprocess.Popen(
                [program(), "serve", "--try", str(self.folder / "var")], stdout=told, stderr=told)
        wait_until(lambda: b"Postrider is running" in self.told.read_bytes() or
                   self.process.poll() is not None, "the server to run")
        return int(re.search(r"SMTP at 127\.0\.0\.1:(\d+)", self.told.read_text()).group(1))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(LIMIT)
            self.process = None

    def send_under_tls(self, port):
        """One message over STARTTLS; the client trusts what lies in the folder and nothing else."""
        context = ssl.create_default_context(cafile=str(self.folder / "var/certificate.pem"))
        with smtplib.SMTP("localhost", port, timeout=LIMIT) as client:
            client.starttls(context=context)
            shown = client.sock.getpeercert(binary_form=True)
            client.sendmail("me@example.org", ["you@postrider.test"], CONTENT)
        return shown

    def test_a_client_gets_tls_with_a_certificate_made_for_it_and_kept(self):
        port = self.start()
        shown = self.send_under_tls(port)
        wait_until(lambda: b"  | Subject: a first one" in self.told.read_bytes(),
                   "the message to be shown")
        self.assertRegex(self.told.read_text(), r"with ESMTPS\b")
        certificate = self.folder / "var/certificate.pem"
        self.assertEqual(certificate.stat().st_mode & 0o777, 0o600)
        self.stop()
        self.assertEqual(self.send_under_tls(self.start()), shown)


if __name__ == "__main__":
    unittest.main()
