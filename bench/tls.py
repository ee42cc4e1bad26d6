"""TLS 1.3 sessions with one small message each, under a certificate of one kind. Our sink stands for
bare libssl: what it costs more than in plaintext is the server's side of a handshake."""

import tempfile
from dataclasses import replace
from pathlib import Path

from certificates import Authority
from measure import Run, how_many


def run(options, work, name, _results):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        issued = Authority(folder).issue("mail.our.test", rsa=work.point == "rsa")
        settings = {"more": issued.lines()} if name == "postrider" else {"tls": issued}
        return Run(options, work, replace(work.load, starttls=True), name,
                   how_many(options, work, work.load, name), settings=settings).figures()
