"""The figures of one run of ./dev bench: what was measured, by work and server, one set per round."""

import statistics


class Results:
    def __init__(self, about):
        self.about = about
        self.runs = {}    # work, server: the figures of each round
        self.traced = {}  # work, server: calls per message under strace
        self.failures = []  # what was refused, lost or not delivered, in words
        self.given_up = set()  # servers that are not waited for again

    def add(self, work, server, figures):
        self.runs.setdefault(work, {}).setdefault(server, []).append(figures)

    def add_traced(self, work, server, key, calls):
        self.traced.setdefault(work, {}).setdefault(server, {})[key] = calls

    def values(self, work, server, key):
        """Of all rounds; none when it was not measured."""
        figures = self.runs.get(work, {}).get(server, [])
        return [one[key] for one in figures if key in one]

    def median(self, work, server, key):
        values = self.values(work, server, key)
        return statistics.median(values) if values else None

    def traced_syncs(self, work, server):
        """Syncs per message, or None."""
        calls = self.traced.get(work, {}).get(server, {}).get("syncs")
        return sum(calls.values()) if calls else None

    def traced_calls(self, work, server):
        calls = self.traced.get(work, {}).get(server, {}).get("all")
        return sum(calls.values()) if calls else None

    def as_json(self, targets):
        return {**self.about, "targets": targets, "failures": self.failures, "runs": self.runs,
                "traced": self.traced}
