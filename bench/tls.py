"""TLS 1.3 sessions with one small message each, under a certificate of one kind. Our sink stands for
bare libssl: what it costs more than in plaintext is the server's side of a handshake."""

import tempfile
from dataclasses import replace
from pathlib import Path

import measure
from certificates import Authority


def opened(stack, options, work, name, results, **more):
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o755)
    issued = Authority(folder).issue("mail.our.test", rsa=work.point == "rsa")
    settings = {"more": issued.lines()} if name == "postrider" else {"tls": issued}
    return measure.opened(stack, options, work, name, results, settings=settings,
                          load=replace(work.load, starttls=True), **more)
