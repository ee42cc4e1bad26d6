"""What Postrider wants to reach, each a ratio within one run or a bound, and whether this run did.

A verdict is information: it says met or not met, and nothing fails by it. A target whose works were
not run, or whose peer is not here, is left out.
"""

import statistics

CPU = "cpu_ms_per_message"
RATE = "messages_per_second"
DELAY = "delay_median_ms"
SYNCS = "spool_syncs_per_message"
MEMORY = "memory_per_session"
OURS = "postrider"


class Missing(Exception):
    """What a target is about was not measured."""


def median(results, work, server, key):
    value = results.median(work, server, key)
    if value is None:
        raise Missing
    return value


def short(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_ratio(part):
    return f"{part:.2f}" if part >= 0.3 else f"1/{1 / part:.1f}"


def ratio(results, key, mine, theirs):
    """Of two (work, server). In turns that alternate, each with what came next to it: then it stands
    even where the machine is sometimes slow."""
    pairs = results.together(key, mine, theirs) if mine[0] == theirs[0] else []
    if pairs:
        return statistics.median(one / other for one, other in pairs)
    return median(results, *mine, key) / median(results, *theirs, key)


def share(work, key, of, at_most=None, at_least=None, of_work=None, ours=OURS):
    """Ours divided by that of another server, in the same work or another one."""
    def ask(results):
        mine = median(results, work, ours, key)
        theirs = median(results, of_work or work, of, key)
        part = ratio(results, key, (work, ours), (of_work or work, of))
        return (f"{short(mine)} : {short(theirs)} = {as_ratio(part)}",
                part <= at_most if at_least is None else part >= at_least)
    return ask


def at_most(bound, value, unit=""):
    """value(results) is a number that must not be above the bound."""
    def ask(results):
        found = value(results)
        return f"{short(found)}{unit}", found <= bound
    return ask


def figure(work, key, scale=1.0):
    return lambda results: median(results, work, OURS, key) / scale


def above_lowest(key, *works, ours=OURS):
    """How many per cent the highest is above the lowest. In each turn all are divided by their mean,
    so that a turn in which the machine was slow says nothing by that."""
    def value(results):
        turns = results.together(key, *((work, ours) for work in works))
        if not turns:
            raise Missing
        parts = [[value / statistics.mean(turn) for value in turn] for turn in turns]
        values = [statistics.median(column) for column in zip(*parts)]
        return (max(values) / min(values) - 1) * 100
    return value


def one_session(results):
    mine = median(results, "accept-one", OURS, "message_median_ms")
    sync = median(results, "accept-one", "disk", "sync_median_ms")
    keeper = median(results, "accept-one", "keeper", "message_median_ms")
    return (f"{mine:.2f} ms, a sync {sync:.2f} ms; a sink that keeps {keeper:.2f} ms",
            mine <= sync + 0.3)


def of_the_least(work):
    """Ours beside the disk's bandwidth or the do-nothing sink, whichever is less; and what is there of the
    sink that does no more than to keep what comes, whose cores have both to do."""
    def ask(results):
        mine = median(results, work, OURS, RATE)
        least = min(("disk", "sink"), key=lambda name: median(results, work, name, RATE))
        part = ratio(results, RATE, (work, OURS), (work, least))
        told = f"{short(mine)} : {short(median(results, work, least, RATE))} = {part:.2f}"
        try:
            keeper = ratio(results, RATE, (work, "keeper"), (work, least))
            told += f"; a sink that keeps {keeper:.2f}"
        except Missing:
            pass
        return told, part >= 0.7
    return ask


def growth(kind, what, *values):
    return at_most(15, above_lowest(CPU, *(f"growth/{kind}/{what}-{value}" for value in values)), " %")


def growth_by_sessions(*values):
    """With what sinks grow by that do nothing, or no more than to keep what comes: the system's own part,
    and the disk's."""
    works = [f"growth/accept/sessions-{value}" for value in values]

    def ask(results):
        mine = above_lowest(CPU, *works)(results)
        sink = above_lowest(CPU, *works, ours="sink")(results)
        keeper = above_lowest(CPU, *works, ours="keeper")(results)
        return (f"{short(mine)} %; a do-nothing sink {short(sink)} %, one that keeps "
                f"{short(keeper)} %", mine <= 15)
    return ask


def at_least(bound, value):
    def ask(results):
        found = value(results)
        return f"{found:.2f}", found >= bound
    return ask


def handshake(kind):
    def ask(results):
        turns = results.together(CPU, *((work, server) for server in (OURS, "sink")
                                        for work in (f"tls/{kind}", "tls/plain")))
        if not turns:
            raise Missing
        pairs = [(mine - plain, bare - bare_plain) for mine, plain, bare, bare_plain in turns]
        mine, bare = (statistics.median(column) for column in zip(*pairs))
        part = statistics.median(one / other for one, other in pairs)
        return f"{mine:.3f} : {bare:.3f} ms = {part:.2f}", part <= 1.2
    return ask


def waiting(domains, work):
    where = f"waiting for {domains} destinations"
    return (
        (where, "memory of each", "≤ 400 octets", at_most(400, figure(work, "memory_per_waiting"))),
        (where, "start to the first 250", "≤ 2 s", at_most(2, figure(work, "start_seconds"), " s")),
        (where, "accept rate, full : empty", "≥ 0.9",
         at_least(0.9, figure(work, "rate_full_share"))),
        (where, "queue list by domain", "< 1 s", at_most(1, figure(work, "list_seconds"), " s")),
        (where, "queue list by domain, 20 rows", "< 1 s",
         at_most(1, figure(work, "list_first_seconds"), " s")),
    )


# (work, what is measured, what is wanted, results -> (text, met))
TARGETS = (
    ("accept, 20 sessions", "CPU", "≤ 1/12 of Postfix", share("accept", CPU, "postfix", 1 / 12)),
    ("accept, 20 sessions", "CPU", "≤ smtp-sink's own", share("accept", CPU, "smtp-sink", 1)),
    ("accept, 20 sessions", "messages/s", "≥ 0.6 of our do-nothing sink",
     share("accept", RATE, "sink", at_least=0.6)),
    ("accept, 100 sessions", "CPU", "≤ 1/12 of Postfix", share("accept-100", CPU, "postfix", 1 / 12)),
    ("accept, 100 sessions", "CPU", "≤ smtp-sink's own",
     share("accept-100", CPU, "smtp-sink", 1)),
    ("accept, 100 sessions", "messages/s", "≥ 0.6 of our do-nothing sink",
     share("accept-100", RATE, "sink", at_least=0.6)),
    ("accept, many per connection", "CPU", "≤ 1/15 of Postfix",
     share("accept-many", CPU, "postfix", 1 / 15)),
    ("accept, one session", "median time per message", "≤ one fdatasync + 0.3 ms", one_session),
    ("accept, 100 sessions", "syncs/message", "≤ 0.3",
     at_most(0.3, figure("accept-100", SYNCS))),
    ("accept, 100 sessions, a sync 2 ms slower", "syncs/message", "≤ 0.05",
     at_most(0.05, figure("slow-disk", SYNCS))),
    ("accept, segments recycled", "octets on disk : octets of mail", "≤ 1.2",
     at_most(1.2, figure("recycled", "disk_share"))),
    ("relay", "CPU", "≤ 1/12 of Postfix", share("relay", CPU, "postfix", 1 / 12)),
    ("relay", "messages/s", "≥ 5 times Postfix", share("relay", RATE, "postfix", at_least=5)),
    ("relay at half of Postfix's rate", "250 to final dot", "≤ 1/2 of Postfix",
     share("relay-fed", DELAY, "postfix", 1 / 2)),
    ("relay, idle server", "250 to final dot", "< 3 ms",
     at_most(3, figure("relay-idle", DELAY), " ms")),
    ("Maildir", "CPU", "≤ 1/5 of Postfix", share("maildir", CPU, "postfix", 1 / 5)),
    ("accept, full: verified", "CPU", "≤ Postfix's plain",
     share("full/accept-verified", CPU, "postfix", 1, of_work="accept")),
    ("relay, full: verified", "CPU", "≤ Postfix's plain",
     share("full/relay-verified", CPU, "postfix", 1, of_work="relay")),
    ("relay, full: signed", "CPU", "≤ Postfix's plain",
     share("full/relay-signed", CPU, "postfix", 1, of_work="relay")),
    ("100 KiB", "messages/s", "≥ 0.7 of disk or sink", of_the_least("large/100-kib")),
    ("100 KiB, into new space", "messages/s", "≥ 0.7 of disk or sink",
     of_the_least("large/100-kib-new")),
    ("10 MiB", "messages/s", "≥ 0.7 of disk or sink", of_the_least("large/10-mib")),
    ("100 KiB", "memory per session", "≤ 256 KiB",
     at_most(256, figure("large/memory-100-kib", MEMORY, 1024), " KiB")),
    ("10 MiB", "memory per session", "≤ 256 KiB",
     at_most(256, figure("large/memory-10-mib", MEMORY, 1024), " KiB")),
    ("TLS 1.3 session, ECDSA", "CPU above plaintext", "≤ 1.2 of bare libssl", handshake("ecdsa")),
    ("TLS 1.3 session, RSA", "CPU above plaintext", "≤ 1.2 of bare libssl", handshake("rsa")),
    ("the spool beside RocksDB", "CPU", "≤ RocksDB's",
     share("store/finished", CPU, "rocksdb", 1, ours="spool")),
    ("the spool beside RocksDB", "messages/s", "≥ RocksDB's",
     share("store/finished", RATE, "rocksdb", at_least=1, ours="spool")),
    ("idle sessions", "memory per session", "≤ 8 KiB",
     at_most(8, figure("idle/plaintext", MEMORY, 1024), " KiB")),
    ("idle sessions, TLS", "memory per session", "≤ 28 KiB",
     at_most(28, figure("idle/tls", MEMORY, 1024), " KiB")),
    *(target for domains in (1, 1000, 100_000) for target in waiting(f"{domains:,}",
                                                                     f"waiting/{domains}")),
    ("growth: accept, 20 to 1,000 sessions", "CPU above its lowest", "≤ 15 %",
     growth_by_sessions(20, 100, 300, 1000)),
    ("growth: accept, 1 to 10,000 destinations", "CPU above its lowest", "≤ 15 %",
     growth("accept", "domains", 1, 100, 10_000)),
    ("growth: relay, 1 to 10,000 destinations", "CPU above its lowest", "≤ 15 %",
     growth("relay", "domains", 1, 100, 10_000)),
)


def judge(results):
    """The targets that can be judged by these results, as values for the table and the JSON."""
    out = []
    for work, what, wanted, ask in TARGETS:
        try:
            measured, met = ask(results)
        except Missing:
            continue
        out.append({"work": work, "what": what, "wanted": wanted, "measured": measured, "met": met})
    return out
