"""The results as tables in Markdown: the targets with their verdicts, then all that was measured."""

import statistics

NAMES = {"postrider": "Postrider", "postfix": "Postfix", "exim": "Exim", "opensmtpd": "OpenSMTPD",
         "haraka": "Haraka", "sink": "our sink", "keeper": "a sink that keeps",
         "smtp-sink": "smtp-sink", "disk": "disk alone",
         "spool": "our spool alone", "rocksdb": "RocksDB"}

# What is told of a work, as far as it was measured: label, key, digits.
ROWS = (
    ("messages/s", "messages_per_second", 0),
    ("CPU ms/message", "cpu_ms_per_message", 3),
    ("250 after the dot, median ms", "wait_median_ms", 2),
    ("250 after the dot, p99 ms", "wait_p99_ms", 2),
    ("time per message, median ms", "message_median_ms", 2),
    ("synced records of 10 KiB/s, one after the other", "records_per_second", 0),
    ("MiB/s written in a row, a sync every 64 MiB", "bandwidth_mib", 0),
    ("a synced record, median ms", "sync_median_ms", 2),
    ("250 to the sink's final dot, median ms", "delay_median_ms", 2),
    ("syncs of the spool/message", "spool_syncs_per_message", 3),
    ("syncs/message, under strace", "syncs_per_message", 3),
    ("octets that the disk took : octets of mail", "disk_share", 2),
    ("the same into new segments", "disk_share_new", 2),
    ("octets of the spool's log : octets of mail", "log_share", 2),
    ("sessions open", "sessions", 0),
    ("memory, KiB/session", "memory_per_session", 1),
    ("messages waiting", "waiting", 0),
    ("memory, octets for each more that waits", "memory_per_waiting", 0),
    ("the same for all, after a restart", "memory_per_waiting_restarted", 0),
    ("messages/s, queue empty", "rate_empty", 0),
    ("messages/s, queue full", "rate_full", 0),
    ("from start to the first 250, s", "start_seconds", 2),
    ("queue list of one destination, s", "list_seconds", 2),
    ("its first 20 rows, s", "list_first_seconds", 2),
    ("CPU while nothing happens, ms/s", "quiet_cpu_ms_per_second", 2),
    ("CPU of the source, ms/message", "source_cpu_ms_per_message", 3),
)
IN_KIB = {"memory_per_session"}


def spread(values, digits):
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def ratio(mine, theirs):
    if not mine or not theirs:
        return ""
    part = mine / theirs
    return f"{part:.2g}" if part >= 1 else f"1/{1 / part:.1f}"


def lines_of(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + [
        "| " + " | ".join(row) + " |" for row in rows]


def targets(judged):
    return lines_of(
        ("work", "what", "target", "measured", "verdict"),
        [(one["work"], one["what"], one["wanted"], one["measured"],
          "met" if one["met"] else "**not met**") for one in judged])


def work(results, name):
    """One column for each server, the ratio to Postfix last."""
    servers = list(results.runs[name])
    return columns(results, name, {NAMES[server]: (name, server) for server in servers},
                   "Postrider" if {"postrider", "postfix"} <= set(servers) else None)


def columns(results, head, places, compared=None):
    """places: for each column, its work and server. compared: the column that is held against
    Postfix's."""
    rows = []
    for label, key, digits in ROWS:
        scale = 1024 if key in IN_KIB else 1
        values = {column: [value / scale for value in results.values(*place, key)]
                  for column, place in places.items()}
        rows.append((label, {c: spread(v, digits) for c, v in values.items() if v},
                     {c: statistics.median(v) for c, v in values.items() if v}))
    for label, ask, digits in (("syncs/message, traced", results.traced_syncs, 3),
                               ("system calls/message, traced", results.traced_calls, 1)):
        values = {column: ask(*place) for column, place in places.items()}
        values = {column: value for column, value in values.items() if value is not None}
        rows.append((label, {c: f"{v:.{digits}f}" for c, v in values.items()}, values))
    lines = []
    for label, texts, medians in rows:
        if texts:
            lines.append([label] + [texts.get(column, "–") for column in places])
            if compared:
                lines[-1].append(ratio(medians.get(compared), medians.get(NAMES["postfix"])))
    return lines_of([head, *places, *(["Postrider : Postfix"] if compared else [])], lines)


def all_tables(results, judged):
    """Works of one group that only Postrider does share a table."""
    lines, groups = targets(judged), {}
    for name, servers in results.runs.items():
        group, _, rest = name.partition("/")
        alone = rest and list(servers) == ["postrider"]
        groups.setdefault((group, "alone") if alone else (name, ""), []).append(name)
    for (head, alone), names in groups.items():
        lines.append("")
        if alone:
            lines += columns(results, head, {name.partition("/")[2]: (name, "postrider")
                                             for name in names})
        else:
            lines += work(results, head)
    return "\n".join(lines)
