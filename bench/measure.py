"""One server under one work: set up, warmed up, loaded turn by turn, and what that cost."""

import contextlib
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import costs
import limits
from load import Sink, SmtpSink, median_delay_ms, run_source
from server import wait_until
from servers import SERVERS, share


WARM_PER_SESSION = 3  # messages, so that the memory of each session was used before
SPACE_TURNS = 3       # in which a spool writes into all of the space that it will use again
TURN_PER_SESSION = 3  # at least, so that beginning and end of a turn count for little


class NotMeasured(Exception):
    """Why something could not be measured; no mail was lost."""


def count_files(folder):
    try:
        with os.scandir(folder) as files:
            return sum(1 for _ in files)
    except FileNotFoundError:
        return 0


def opened(stack, options, work, name, results, trace=None, **more):
    """Who does the work, set up and warmed up; it ends with the stack. more: see Run."""
    if name == "disk":
        return limits.Disk(options, work, results)
    load = more.pop("load", work.load)
    if work.fed:
        most = results.median("relay", "postfix", "messages_per_second")
        if most is None:
            raise NotMeasured("its rate is half of what Postfix can relay, which is not known")
        load = replace(load, rate=most / 2)
    return Run(stack, options, work, load, name, trace, **more)


def calls(options, work, name, results, trace):
    """How often each system call was made for a message, in a run of its own under strace."""
    with contextlib.ExitStack() as stack:
        run = opened(stack, options, work, name, results, trace)
        begin = time.time()
        run.turn()
        end = time.time()
        run.stop()  # then its trace is whole
        counted = costs.count_calls(run.server.directory / "trace", begin, end)
        return {name: count / run.messages for name, count in
                sorted(counted.items(), key=lambda item: -item[1])}


def turns(options, work):
    """How often the work comes in a round: each time long enough for its sessions."""
    if work.load.rate or work.fed:
        return 1
    most = round(options.messages * work.messages) // (TURN_PER_SESSION * work.load.sessions)
    return max(1, min(options.turns, most))


def how_many(options, work, load, name, trace=None):
    """Messages in a turn, so that those of all servers last about equally long and are disturbed
    alike."""
    if load.rate:
        return max(1, round(load.rate * options.seconds))
    messages = options.messages * work.messages
    if trace:
        return max(4, min(500, round(messages / 5)))
    return max(4, round(messages * share(name, work.kind) / turns(options, work)))


class Run:
    """One server under one load. settings: more for the server. check: called with the run when all
    has been done. recorder: begins and ends with what is measured."""

    def __init__(self, stack, options, work, load, name, trace=None, settings=None, check=None,
                 recorder=None):
        self.options, self.work, self.load, self.name = options, work, load, name
        self.trace, self.settings, self.check = trace, settings or {}, check
        self.recorder = recorder
        self.messages = how_many(options, work, load, name, trace)
        self.turns = 1 if trace or recorder else turns(options, work)
        warm = max(options.warm, WARM_PER_SESSION * load.sessions) if load.sessions > 1 else 10
        self.warm = min(warm, self.messages * self.turns)
        self.given = 0  # messages in all
        self.stopped = False
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.sink = None
        if work.kind == "relay":
            told = [self.warm + turn * self.messages for turn in range(self.turns + 1)]
            self.sink = stack.enter_context(
                Sink(options.programs, told, self.folder / "arrived" if load.timed else None))
        try:
            self.server = stack.enter_context(self.server_of())
        except AssertionError as error:
            if name == "postrider":
                raise
            raise NotMeasured(str(error)) from error
        self.meter = costs.CpuMeter(self.server.pid)
        stack.callback(self.stop)
        self.hand_in(self.warm, timed=False)
        self.wait_until_done()
        if work.emptied and name == "postrider" and not trace:
            self.use_space()
        self.cpu = self.meter.seconds()

    def use_space(self):
        """Until no segment is new; what the spool keeps of free ones is more than a turn needs."""
        for _ in range(SPACE_TURNS):
            self.empty()
            self.hand_in(self.messages, timed=False)
        self.empty()

    def stop(self):
        """Again is no harm."""
        if not self.stopped:
            self.stopped = True
            self.server.stop()
            self.meter.close()

    def server_of(self):
        if self.name == "sink":
            return Sink(self.options.programs, **self.settings)
        if self.name == "keeper":
            return Sink(self.options.programs, keep=self.folder / "kept", **self.settings)
        if self.name == "smtp-sink":
            return SmtpSink()
        return SERVERS[self.name](self.options.programs / self.work.program, self.work,
                                  self.sink.port if self.sink else None, self.trace,
                                  **self.settings)

    def turn(self):
        """The figures of so many messages. CPU holds what the server has done since the turn before,
        too: tidying up belongs to the work."""
        if self.recorder:
            self.recorder.begin(self.server.pid)
        before = self.read_meters()
        source = self.hand_in(self.messages, self.load.timed)
        sink_figures, ended_at = self.wait_until_done()
        cpu = self.meter.seconds()
        after = self.read_meters()
        if self.recorder:
            self.recorder.end()
        if ended_at is None:
            ended_at = source["begun_at"] + source["seconds"]
        spent = {key: after[key] - before[key] for key in before if before[key] is not None}
        figures = {
            "messages": self.messages,
            "messages_per_second": self.messages / (ended_at - source["begun_at"]),
            "cpu_ms_per_message": (cpu - self.cpu) * 1000 / self.messages,
            "cpu_counted_by": self.meter.method,
            "source_cpu_ms_per_message": source["cpu_seconds"] * 1000 / self.messages,
        }
        self.cpu = cpu
        figures.update({key: value for key, value in source.items() if key.endswith("_ms")})
        if "disk" in spent:
            figures["disk_share"] = spent["disk"] / (self.messages * self.load.octets)
        if self.sink:
            self.sink_figures = sink_figures
            figures["sink_connections"] = sink_figures["connections"]
        if self.load.timed:
            self.sink.stop()
            figures["delay_median_ms"] = median_delay_ms(self.folder / "accepted",
                                                         self.folder / "arrived")
        if "syncs" in spent:
            figures["spool_syncs_per_message"] = spent["syncs"] / self.messages
            figures["log_share"] = spent["log"] / (self.messages * self.load.octets)
        if self.work.emptied and self.name == "postrider" and not self.trace:
            self.empty()
        return figures

    def empty(self):
        """The operator removes all, which is not part of what is measured."""
        self.server.ask("queue", "remove", "--all")
        wait_until(lambda: self.server.status()["spool"]["messages"] == 0, "all to be removed", 300)
        self.cpu = self.meter.seconds()

    def end(self):
        if self.check:
            self.check(self)

    def read_meters(self):
        out = {"disk": costs.device_octets(self.options.folder)}
        if self.name == "postrider":
            spool = self.server.status()["spool"]
            out |= {"syncs": spool["syncs"], "log": spool["octets_written"]}
        return out

    def hand_in(self, messages, timed):
        self.given += messages
        return run_source(self.options, self.load, self.server.port, messages,
                          self.server.recipient, self.folder / "accepted" if timed else None)

    def wait_until_done(self):
        """What the sink says, and when the last message was where it belongs; None: at its 250."""
        if self.sink:
            figures = self.sink.next_figures()
            return figures, figures["last_at"]
        if self.work.kind == "maildir":
            wait_until(lambda: count_files(self.server.mailbox) >= self.given,
                       f"{self.given} messages in {self.server.mailbox}", 600)
            return None, time.monotonic()
        return None, None
