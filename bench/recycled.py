"""What is written for each message, first into new segments, then in the steady state, in which all
segments were used before.

The load comes again and again, and after each time the operator removes all of it, as deliveries
would. It is less than the spool keeps of free segments (src/spool/segments.cc). What the removals
write counts too.
"""

import costs
from load import run_source
from server import wait_until
from servers import BenchPostrider

TURNS = 3  # until no segment is new, and then as many that count


def run(options, work, _name, _results):
    messages = max(work.load.sessions, round(options.messages * work.messages))
    mail = messages * work.load.octets
    with BenchPostrider(options.programs / work.program, work, None) as server:
        def read():
            spool = server.status()["spool"]
            return costs.device_octets(options.folder), spool["octets_written"], spool["syncs"]

        def turns(count):
            """Octets that the disk took and that the log holds, of each octet of mail; syncs of each
            message."""
            before = read()
            for _ in range(count):
                run_source(options, work.load, server.port, messages, server.recipient)
                server.ask("queue", "remove", "--all")
                wait_until(lambda: server.status()["spool"]["messages"] == 0, "all to be removed", 300)
            after = read()
            disk = None if before[0] is None else (after[0] - before[0]) / mail / count
            return disk, (after[1] - before[1]) / mail / count, (after[2] - before[2]) / messages / count

        new = turns(1)
        turns(TURNS)
        used = turns(TURNS)
    figures = {"messages": messages, "log_share": used[1], "spool_syncs_per_message": used[2]}
    if used[0] is not None:
        figures |= {"disk_share_new": new[0], "disk_share": used[0]}
    return figures
