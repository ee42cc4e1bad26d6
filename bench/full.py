"""Postrider with everything on that is on by default, as SPF, DKIM and DMARC: mail from outside is
judged, mail of our own is signed. NSD has the zones; after the first messages all answers are cached.

    point       what happens to each message
    verified    it comes from outside, signed: SPF, DKIM and DMARC are looked at, and all pass
    signed      it comes from our own network and is signed with two keys, RSA and Ed25519
"""

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import dkim

import measure
from judging import HEAD, make_key, strings
from name_server import NameServer
from peer import free_port
from server import wait_until

LINE = b"The quick brown fox jumps over the lazy dog, and then it goes home.\r\n"
SIGNATURES_OCTETS = 600  # two of them are longer


def opened(stack, options, work, name, results, **more):
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    folder.chmod(0o755)
    port = stack.enter_context(zones(folder, work.load.octets))
    settings = {"more": f'[resolver]\nforwarders = ["127.0.0.1:{port}"]\n'}
    if work.point == "verified":
        load = replace(work.load, sender="a@author.test", content=folder / "message")
        settings["smtp"] = "relay_networks = []"
        check = all_passed
    else:
        load = replace(work.load, sender="alice@our.test")
        settings["sign_for"] = "our.test"
        check = all_signed
    return measure.opened(stack, options, work, name, results, load=load, settings=settings,
                          check=check, **more)


@contextlib.contextmanager
def zones(folder, octets):
    """The port of a name server that knows author.test; the signed message lies in the folder."""
    key, record = make_key(2048)
    records = {"author.test": '@ TXT "v=spf1 ip4:127.0.0.1 -all"\n_dmarc TXT "v=DMARC1; p=reject"\n'
                              f"good._domainkey TXT {strings(record)}\n",
               "bench.test": "", "far.test": "", "our.test": "", "test": ""}
    for name, lines in records.items():
        text = (HEAD.format(name=name) + lines).replace("$TTL 60", "$TTL 86400")
        (folder / f"{name}.zone").write_text(text)
    content = (b"From: <a@author.test>\r\nTo: <user@far.test>\r\nSubject: load\r\n"
               b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <load@author.test>\r\n\r\n")
    content += LINE * ((octets - len(content)) // len(LINE))
    (folder / "message").write_bytes(
        dkim.sign(content, b"good", b"author.test", key, canonicalize=(b"relaxed", b"relaxed"))
        + content)
    with NameServer(*records, port=free_port(), folder=folder) as names:
        yield names.port


def all_passed(run):
    """Each message has a row of what was found."""
    def rows():
        text = "".join(path.read_text() for path in (run.server.data / "dmarc").glob("*"))
        found = [json.loads(line) for line in text.splitlines()]
        return found if len(found) == run.given else None
    for row in wait_until(rows, "a row for each message"):
        found = row["policy_evaluated"]
        assert (found["dkim"], found["spf"]) == ("pass", "pass"), row


def all_signed(run):
    taken = run.sink_figures
    longer = taken["octets"] / taken["messages"] - run.load.octets
    assert longer > SIGNATURES_OCTETS, f"messages became only {longer:.0f} octets longer"
