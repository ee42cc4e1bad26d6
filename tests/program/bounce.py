"""Reads delivery status notifications as a program does that has never heard of Postrider.

RFC 3464 (the fields), RFC 6522 (multipart/report). It is held against other people's bounces
(testdata/dsn) before it is trusted with ours; see bounce_test.py.
"""

import email
import email.policy
import re
from dataclasses import dataclass


@dataclass
class Group:
    """One recipient of a report."""

    recipient: str
    action: str
    status: str
    diagnostic: str = ""
    original: str = ""
    remote: str = ""


class NotAReport(Exception):
    """Why a mail is not a delivery status notification."""


def typed(value):
    """ "rfc822; user@example.org" without its type, comments and brackets."""
    value = value.split(";", 1)[1] if ";" in value else value
    return re.sub(r"\s+", " ", value).strip().strip("<>").strip()


def status_parts(message):
    for part in message.walk():
        if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
            yield part


def fields_of(part):
    """The groups of fields of a delivery-status part, the first about the message."""
    payload = part.get_payload()
    if isinstance(payload, list):
        return [block for block in payload if block.keys()]
    return [email.message_from_string(block) for block in re.split(r"\r?\n\r?\n", payload) if block]


def read(octets):
    """The groups of a report, in order. NotAReport: the mail is none."""
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    groups = []
    for part in status_parts(message):
        for block in fields_of(part):
            status = re.match(r"\s*([245]\.\d{1,3}\.\d{1,3})", str(block.get("Status", "")))
            recipient = str(block.get("Final-Recipient") or block.get("Original-Recipient") or "")
            if not status or not recipient:
                continue
            groups.append(Group(
                recipient=typed(recipient),
                action=str(block.get("Action", "")).strip().lower().split(" ")[0],
                status=status.group(1),
                diagnostic=typed(str(block.get("Diagnostic-Code", ""))),
                original=typed(str(block.get("Original-Recipient", ""))),
                remote=typed(str(block.get("Remote-MTA", "")))))
    if not groups:
        raise NotAReport("no group of fields with a recipient and a status")
    return groups


def faults(octets):
    """What RFC 3464 and RFC 6522 ask of a report and this one does not keep: sentences."""
    out = []
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    if message.get_content_type() != "multipart/report":
        out.append("RFC 6522 §3: it is not multipart/report")
    if (message.get_param("report-type") or "").lower() != "delivery-status":
        out.append("RFC 3464 §2: report-type is not delivery-status")
    parts = message.get_payload() if message.is_multipart() else []
    kinds = [part.get_content_type() for part in parts]
    if len(kinds) not in (2, 3):
        out.append(f"RFC 6522 §3: {len(kinds)} parts")
        return out
    if not kinds[0].startswith("text/"):
        out.append("RFC 6522 §3: the first part is not for people")
    if kinds[1] not in ("message/delivery-status", "message/global-delivery-status"):
        out.append("RFC 6522 §3: the second part is not the status")
        return out
    if len(kinds) == 3 and kinds[2] not in ("message/rfc822", "text/rfc822-headers",
                                            "message/global", "message/global-headers"):
        out.append("RFC 6522 §3: the third part is not what was returned")
    blocks = fields_of(parts[1])
    if not blocks or "Reporting-MTA" not in blocks[0]:
        out.append("RFC 3464 §2.2.2: no Reporting-MTA")
    for block in blocks[1:]:
        if "Final-Recipient" not in block:
            out.append("RFC 3464 §2.3.2: no Final-Recipient")
        action = str(block.get("Action", "")).strip().lower()
        if action not in ("failed", "delayed", "delivered", "relayed", "expanded"):
            out.append(f"RFC 3464 §2.3.3: the action {action!r}")
        status = str(block.get("Status", "")).strip()
        if not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status):
            out.append(f"RFC 3464 §2.3.4: the status {status!r}")
        wanted = {"failed": "5", "delayed": "4"}.get(action, status[:1])
        if status[:1] != wanted:
            out.append(f"RFC 3464 §2.3.4: {action} with {status}")
    if len(blocks) < 2:
        out.append("RFC 3464 §2.1: no recipient")
    if max((len(line) for line in octets.splitlines()), default=0) > 998:
        out.append("RFC 5322 §2.1.1: a line is too long")
    return out
