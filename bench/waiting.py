"""A queue of very many messages that cannot be delivered now: what each costs in memory, and what the
server can do meanwhile."""

import statistics
import subprocess
import tempfile
import time

import costs
from load import run_source
from server import wait_until
from servers import BenchPostrider

QUIET_S = 5
WAIT_S = 900


def run(options, work, _name, _results):
    waiting = max(200, round(options.waiting * options.share))
    turn = max(100, options.messages // options.turns)
    with (BenchPostrider(options.programs / work.program, work, None) as server,
          BenchPostrider(options.programs / work.program, work, None) as empty):
        def accept(messages, by=server):
            source = run_source(options, work.load, by.port, messages, by.recipient)
            return messages / source["seconds"]

        fresh, meter = costs.memory(server.pid), costs.CpuMeter(server.pid)
        accept(options.warm)
        accept(options.warm, empty)
        # What the queue holds ready in memory is full after the first tenth.
        accept(waiting // 10)
        before = costs.memory(server.pid)
        accept(waiting - waiting // 10)
        grown = (costs.memory(server.pid) - before) / (waiting - waiting // 10)
        rates = []
        for number in range(options.turns):
            pair = (server, empty)[::(-1) ** number]
            rates.append({by: accept(turn, by) for by in pair})
        empty.stop()
        count = options.warm + options.turns * turn + waiting
        figures = {"waiting": count, "memory_per_waiting": grown,
                   "rate_empty": statistics.median(both[empty] for both in rates),
                   "rate_full": statistics.median(both[server] for both in rates),
                   "rate_full_share": statistics.median(both[server] / both[empty] for both in rates),
                   "quiet_cpu_ms_per_second": quiet(meter), "list_seconds": listed(server, work),
                   "list_first_seconds": listed(server, work, "--limit", "20")}
        server.kill()
        meter.close()
        figures["start_seconds"] = start(server)
        wait_until(lambda: server.status()["queue"]["entries"] >= count, "the queue to be whole", WAIT_S)
        figures["memory_per_waiting_restarted"] = (costs.memory(server.pid) - fresh) / count
        return figures


def quiet(meter):
    """Milliseconds of CPU in a second in which nothing happens; a scan that comes again and again
    would show."""
    before = meter.seconds()
    time.sleep(QUIET_S)
    return (meter.seconds() - before) * 1000 / QUIET_S


def listed(server, work, *more):
    """Seconds to list one destination into a file."""
    domain = server.recipient.partition("@")[2]
    with tempfile.TemporaryFile() as out:
        begin = time.monotonic()
        done = subprocess.run(
            [server.binary, "queue", "list", "--socket", str(server.admin_socket), "--domain",
             domain if work.load.domains == 1 else f"d0.{domain}", *more],
            stdout=out, stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
        seconds = time.monotonic() - begin
        out.seek(0)
        assert done.returncode == 0 and sum(1 for _ in out) > 2, done.stderr
    return seconds


def start(server):
    """Seconds from the start of the process to the first 250 for a message."""
    begin = time.monotonic()
    server.spawn()
    server.wait_until_it_listens(WAIT_S)
    with server.connect() as client:
        reply = client.deliver(server.recipient, "Subject: first\r\n\r\nafter a start\r\n")
    assert reply.startswith("250"), reply
    return time.monotonic() - begin
