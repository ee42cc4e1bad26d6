"""One server, once, under one work: set up, warmed up, loaded, and what that cost."""

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


WARM_PER_SESSION = 3  # so that the memory of each session was used before


class NotMeasured(Exception):
    """Why something could not be measured; no mail was lost."""


def count_files(folder):
    try:
        with os.scandir(folder) as files:
            return sum(1 for _ in files)
    except FileNotFoundError:
        return 0


def run(options, work, name, results, trace=None):
    """The figures of one run."""
    if name == "disk":
        return limits.disk_alone(options, work, results)
    load = work.load
    if work.fed:
        most = results.median("relay", "postfix", "messages_per_second")
        if most is None:
            raise NotMeasured("its rate is half of what Postfix can relay, which is not known")
        load = replace(load, rate=most / 2)
    return Run(options, work, load, name, how_many(options, work, load, name, trace), trace).figures()


def how_many(options, work, load, name, trace=None):
    """Messages, so that runs last about equally long and are disturbed alike."""
    if load.rate:
        return max(1, round(load.rate * options.seconds))
    if trace:
        return max(4, min(500, round(options.messages * work.messages / 5)))
    return max(4, round(options.messages * work.messages * share(name, work.kind)))


class Run:
    """settings: more for the server. check: called with the run when all has been done. recorder:
    begins and ends with what is measured."""

    def __init__(self, options, work, load, name, messages, trace=None, settings=None, check=None,
                 recorder=None):
        self.options, self.work, self.load, self.name = options, work, load, name
        self.messages, self.trace, self.settings, self.check = messages, trace, settings or {}, check
        self.recorder = recorder
        warm = max(options.warm, WARM_PER_SESSION * load.sessions) if load.sessions > 1 else 10
        self.warm = min(warm, messages)

    def figures(self):
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.sink = None
            if self.work.kind == "relay":
                self.sink = stack.enter_context(
                    Sink(self.options.programs, (self.warm, self.warm + self.messages),
                         self.folder / "arrived" if self.load.timed else None))
            self.server = self.started(stack)
            meter = costs.CpuMeter(self.server.pid)
            try:
                figures, begin, end = self.measure(meter)
                if self.check:
                    self.check(self)
            finally:
                self.server.stop()  # with its last process the group is empty and the trace whole
                meter.close()
            if self.trace:
                calls = costs.count_calls(self.server.directory / "trace", begin, end)
                figures["calls"] = {name: count / self.messages for name, count in
                                    sorted(calls.items(), key=lambda item: -item[1])}
        return figures

    def started(self, stack):
        try:
            return stack.enter_context(self.server_of())
        except AssertionError as error:
            if self.name == "postrider":
                raise
            raise NotMeasured(str(error)) from error

    def server_of(self):
        if self.name == "sink":
            return Sink(self.options.programs, **self.settings)
        if self.name == "smtp-sink":
            return SmtpSink()
        return SERVERS[self.name](self.options.programs / self.work.program, self.work,
                                  self.sink.port if self.sink else None, self.trace,
                                  **self.settings)

    def measure(self, meter):
        """The figures, and between which moments of the wall clock they were taken."""
        self.hand_in(self.warm, timed=False)
        self.wait_until_done(self.warm)
        if self.recorder:
            self.recorder.begin(self.server.pid)
        before = self.read_meters(meter)
        before["cpu"] = meter.seconds()  # without what the reading itself cost
        wall = time.time()
        source = self.hand_in(self.messages, self.load.timed)
        self.sink_figures, ended_at = self.wait_until_done(self.warm + self.messages)
        after = self.read_meters(meter)
        if self.recorder:
            self.recorder.end()
        if ended_at is None:
            ended_at = source["begun_at"] + source["seconds"]
        spent = {key: after[key] - before[key] for key in before if before[key] is not None}
        figures = {
            "messages": self.messages,
            "messages_per_second": self.messages / (ended_at - source["begun_at"]),
            "cpu_ms_per_message": spent["cpu"] * 1000 / self.messages,
            "cpu_counted_by": meter.method,
            "source_cpu_ms_per_message": source["cpu_seconds"] * 1000 / self.messages,
        }
        figures.update({key: value for key, value in source.items() if key.endswith("_ms")})
        if "disk" in spent:
            figures["disk_share"] = spent["disk"] / (self.messages * self.load.octets)
        if self.sink:
            figures["sink_connections"] = self.sink_figures["connections"]
        if self.load.timed:
            self.sink.stop()
            figures["delay_median_ms"] = median_delay_ms(self.folder / "accepted",
                                                         self.folder / "arrived")
        if "syncs" in spent:
            figures["spool_syncs_per_message"] = spent["syncs"] / self.messages
            figures["log_share"] = spent["log"] / (self.messages * self.load.octets)
        return figures, wall, time.time()

    def read_meters(self, meter):
        out = {"cpu": meter.seconds(), "disk": costs.device_octets(self.options.folder)}
        if self.name == "postrider":
            spool = self.server.status()["spool"]
            out |= {"syncs": spool["syncs"], "log": spool["octets_written"]}
        return out

    def hand_in(self, messages, timed):
        return run_source(self.options, self.load, self.server.port, messages,
                          self.server.recipient, self.folder / "accepted" if timed else None)

    def wait_until_done(self, count):
        """What the sink says, and when the last message was where it belongs; None: at its 250."""
        if self.sink:
            figures = self.sink.next_figures()
            return figures, figures["last_at"]
        if self.work.kind == "maildir":
            wait_until(lambda: count_files(self.server.mailbox) >= count,
                       f"{count} messages in {self.server.mailbox}", 600)
            return None, time.monotonic()
        return None, None
