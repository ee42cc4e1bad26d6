"""Certificates for tests, made by the program openssl: an authority of the test's own, and what it
issues, good or expired."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from server import LIMIT

CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


def openssl(*words, **more):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, timeout=LIMIT, **more)
    assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
    return done.stdout


@dataclass
class Issued:
    chain: Path
    key: Path

    def lines(self):
        """The section of the configuration."""
        return f'[[certificate]]\nchain_file = "{self.chain}"\nkey_file = "{self.key}"\n'


class Authority:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.count = 0
        self.root = self.folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "3650", "-subj", "/CN=test authority", "-keyout", self.folder / "ca.key",
                "-out", self.root)
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1000\n")
        (self.folder / "ca.cnf").write_text(CONFIG.format(folder=self.folder))

    def issue(self, *names, expired=False, rsa=False):
        """For these names: hosts, addresses of hosts, addresses of mail."""
        self.count += 1
        own = self.folder / f"issued{self.count}"
        issued = Issued(own.with_suffix(".pem"), own.with_suffix(".key"))
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        def kind_of(name):
            return "email" if "@" in name else "IP" if re.fullmatch(r"[0-9.]+", name) else "DNS"

        alternatives = ",".join(f"{kind_of(name)}:{name}" for name in names)
        openssl("req", "-new", "-newkey", *kind, "-nodes", "-subj", f"/CN={names[0]}", "-addext",
                f"subjectAltName={alternatives}", "-keyout", issued.key, "-out", own)
        dates = ["20240101000000Z", "20240201000000Z"] if expired else [
            "20240101000000Z", "20491231000000Z"]
        openssl("ca", "-batch", "-notext", "-config", self.folder / "ca.cnf", "-cert", self.root,
                "-keyfile", self.folder / "ca.key", "-in", own, "-out", issued.chain,
                "-startdate", dates[0], "-enddate", dates[1])
        for path in (issued.key, issued.chain):
            path.chmod(0o644)
        return issued
