"""The figures of one run of ./dev bench: what was measured, by work and server, one set per turn."""

import statistics


class Results:
    def __init__(self, about):
        self.about = about
        self.runs = {}    # work, server: the figures of each turn
        self.traced = {}  # work, server: calls per message under strace
        self.failures = []  # what was refused, lost or not delivered, in words
        self.given_up = set()  # servers that are not waited for again

    def add(self, work, server, figures):
        self.runs.setdefault(work, {}).setdefault(server, []).append(figures)

    def add_traced(self, work, server, key, calls):
        self.traced.setdefault(work, {}).setdefault(server, {})[key] = calls

    def values(self, work, server, key):
        """Of all turns; none when it was not measured."""
        figures = self.runs.get(work, {}).get(server, [])
        return [one[key] for one in figures if key in one]

    def together(self, key, *places):
        """For each turn in which all of these (work, server) were measured, their values."""
        by_turn = [{(one["round"], one["turn"]): one[key]
                    for one in self.runs.get(work, {}).get(server, []) if key in one}
                   for work, server in places]
        common = set(by_turn[0]).intersection(*by_turn[1:])
        return [tuple(values[turn] for values in by_turn) for turn in sorted(common)]

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
