"""What is written for each message, first into new segments, then into those that were used before.

The load comes twice. In between the operator removes all of it, so that the second half finds the
segments of the first, as a server does that has run for a while. It is less than the spool keeps
of free segments (src/spool/segments.cc).
"""

import costs
from load import run_source
from server import wait_until
from servers import BenchPostrider


def run(options, work, _name, _results):
    messages = max(work.load.sessions, round(options.messages * work.messages))
    mail = messages * work.load.octets
    with BenchPostrider(options.programs / work.program, work, None) as server:
        def read():
            spool = server.status()["spool"]
            return costs.device_octets(options.folder), spool["octets_written"], spool["syncs"]

        def load():
            before = read()
            run_source(options, work.load, server.port, messages, server.recipient)
            after = read()
            disk = None if before[0] is None else (after[0] - before[0]) / mail
            return disk, (after[1] - before[1]) / mail, (after[2] - before[2]) / messages

        new = load()
        server.ask("queue", "remove", "--all")
        wait_until(lambda: server.status()["spool"]["messages"] == 0, "all to be removed", 300)
        used = load()
    figures = {"messages": messages, "log_share": used[1], "spool_syncs_per_message": used[2]}
    if used[0] is not None:
        figures |= {"disk_share_new": new[0], "disk_share": used[0]}
    return figures
