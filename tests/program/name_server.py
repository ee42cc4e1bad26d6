"""NSD, an authoritative name server, with the zones of a test. It answers Postrider as a forwarder,
since libunbound takes an answer for what it is, whoever gives it."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from server import LIMIT, PEERS, wait_until

ZONES = Path(__file__).resolve().parent / "zones"


class NameServer:
    """Serves FOLDER/NAME.zone for each name, at 127.0.0.1:port."""

    def __init__(self, *zones, port=53, folder=ZONES):
        self.root = PEERS / "nsd"
        if not self.root.exists():
            raise RuntimeError(f"{self.root} is missing: run tools/peers nsd")
        self.port = port
        self.zones = zones
        self.process = None
        self.directory = Path(tempfile.mkdtemp(prefix="postrider-nsd-"))
        self.config = self.directory / "nsd.conf"
        self.config.write_text(f"""
server:
  ip-address: 127.0.0.1
  port: {port}
  username: ""
  chroot: ""
  server-count: 1
  database: ""
  zonesdir: "{folder}"
  pidfile: "{self.directory}/pid"
  xfrdfile: "{self.directory}/xfrd"
  zonelistfile: "{self.directory}/zones"
  xfrdir: "{self.directory}"
  logfile: "{self.directory}/log"
  round-robin: no
remote-control:
  control-enable: no
""" + "".join(f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n' for name in zones))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        libraries = {str(path.parent) for path in self.root.rglob("*.so*")}
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", str(self.root / "usr/sbin/nsd"), "-d", "-c",
             str(self.config)],
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(sorted(libraries))},
            start_new_session=True)
        wait_until(self.answers, "NSD to answer")

    def stop(self):
        """It and its children."""
        if self.process is None:
            return
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(LIMIT)
        self.process = None

    def answers(self):
        """Whether it knows the SOA of its first zone (RFC 1035 section 4.1)."""
        if self.process.poll() is not None:
            raise AssertionError(f"NSD ended with {self.process.returncode}: "
                                 + (self.directory / "log").read_text(errors="replace"))
        labels = b"".join(bytes([len(label)]) + label.encode()
                          for label in self.zones[0].split("."))
        question = b"\0\1\0\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            try:
                asker.connect(("127.0.0.1", self.port))
                asker.send(question)
                reply = asker.recv(512)
                return len(reply) > 12 and reply[3] & 15 == 0
            except OSError:
                return False
