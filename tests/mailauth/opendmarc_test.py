"""DMARC beside OpenDMARC's library, where RFC 7489 and RFC 9989 agree.

    python3 opendmarc_test.py PATH-TO-dmarc_lines [CASES]

They agree when the record stands at the author's domain or at the domain below the public suffix,
without the tags that are new (np, psd, t) or gone (pct): then the walk through the DNS and the
list of suffixes find the same organization. OpenDMARC is given the record that RFC 7489 section
6.6.3 would find, so that it asks nobody, and one signature, since it keeps no more than one. The generator has a fixed seed. Differences must be one of
KINDS, as in pyspf_test.py.
"""

import ctypes
import json
import pathlib
import random
import subprocess
import sys
import tempfile

SEED = 9989
CASES = 5000
SUFFIXES = ["org", "com", "co.uk"]
ORGANIZATIONS = ["example.org", "example.com", "shop.co.uk"]
PASS, FAIL, NONE = 1, 2, 0
OUTCOMES = {"pass": PASS, "fail": FAIL, "none": NONE}
ALIGNED = 4  # DMARC_POLICY_SPF_ALIGNMENT_PASS, and the same for DKIM
POLICIES = {
    "Policy OK so accept message": "pass",
    "Policy says to reject message": "reject",
    "Policy says to quarantine message": "quarantine",
    "Policy says to monitor and report": "none",
}
MAILFROM, IPV4 = 1, 4

# --- questions ------------------------------------------------------------------------------------


def domain(r, organization):
    return r.choice(["", "", "mail.", "a.b.", "news.", "x-y.z.", "a.b.c.d."]) + organization


def record(r):
    tags = [f"p={r.choice(['none', 'quarantine', 'reject', 'reject', 'Reject'])}"]
    if r.random() < 0.4:
        tags.append(f"sp={r.choice(['none', 'quarantine', 'reject', 'NONE'])}")
    for tag in ("adkim", "aspf"):
        if r.random() < 0.5:
            tags.append(f"{tag}={r.choice(['r', 's', 's'])}")
    if r.random() < 0.3:
        tags.append(r.choice(["rua=mailto:a@example.org", "x=y", "ruf=mailto:b@example.org; fo=1", "ri=3600", "rf=afrf"]))
    separator = r.choice(["; ", ";", " ; "])
    return "v=DMARC1" + separator + separator.join(tags) + r.choice(["", ";", "; "])


def question(r):
    organization = r.choice(ORGANIZATIONS)
    author = domain(r, organization)
    zone = {organization: record(r)}
    if r.random() < 0.4:
        zone[author] = record(r)

    def identifier():
        other = organization if r.random() < 0.75 else r.choice(ORGANIZATIONS)
        return [r.choice(["pass", "pass", "pass", "fail", "none"]), domain(r, other)]

    return {
        "zone": zone,
        "organization": organization,
        "author": author,
        "spf": identifier(),
        "dkim": [identifier()] if r.random() < 0.8 else [],
    }


# --- OpenDMARC ------------------------------------------------------------------------------------


class OpenDmarc:
    def __init__(self, folder):
        self.opendmarc = ctypes.CDLL("libopendmarc.so.2")
        suffixes = pathlib.Path(folder) / "suffixes"
        suffixes.write_text("".join(name + "\n" for name in SUFFIXES))
        # OPENDMARC_LIB_T begins with the kind of list (1: that of Mozilla) and the path of its file.
        settings = ctypes.create_string_buffer(1 << 14)
        ctypes.memmove(settings, (1).to_bytes(4, sys.byteorder) + bytes(suffixes), 4 + len(bytes(suffixes)))
        self.settings = settings
        if self.opendmarc.opendmarc_policy_library_init(settings) != 0:
            raise SystemExit("OpenDMARC's library does not start")
        self.opendmarc.opendmarc_policy_connect_init.restype = ctypes.c_void_p
        self.opendmarc.opendmarc_policy_connect_shutdown.restype = ctypes.c_void_p
        self.opendmarc.opendmarc_policy_status_to_str.restype = ctypes.c_char_p

    def call(self, name, context, *arguments):
        return getattr(self.opendmarc, name)(ctypes.c_void_p(context), *arguments)

    def words(self, status):
        return self.opendmarc.opendmarc_policy_status_to_str(status).decode()

    def check(self, asked):
        context = self.opendmarc.opendmarc_policy_connect_init(b"192.0.2.1", IPV4)
        try:
            author, organization = asked["author"].encode(), asked["organization"].encode()
            self.call("opendmarc_policy_store_from_domain", context, author)
            result, name = asked["spf"]
            self.call("opendmarc_policy_store_spf", context, name.encode(), OUTCOMES[result], MAILFROM, None)
            for result, name in asked["dkim"]:
                self.call("opendmarc_policy_store_dkim", context, name.encode(), b"s", OUTCOMES[result], None)
            text = asked["zone"].get(asked["author"]) or asked["zone"][asked["organization"]]
            own = asked["author"] in asked["zone"]
            stored = self.call("opendmarc_policy_store_dmarc", context, text.encode(), author,
                               None if own else organization)
            enforce = self.call("opendmarc_get_policy_to_enforce", context)
            dkim, spf = ctypes.c_int(), ctypes.c_int()
            self.call("opendmarc_policy_fetch_alignment", context, ctypes.byref(dkim), ctypes.byref(spf))
            if stored != 0:
                return {"problem": self.words(stored)}
            return {
                "policy": POLICIES.get(self.words(enforce), self.words(enforce)),
                "dkim_aligned": dkim.value == ALIGNED,
                "spf_aligned": spf.value == ALIGNED,
            }
        finally:
            self.call("opendmarc_policy_connect_shutdown", context)


# --- differences ----------------------------------------------------------------------------------

KINDS = {}


def kind(reason):
    def add(function):
        KINDS[function.__name__] = (reason, function)
        return function

    return add


def is_strict(asked, tag):
    text = asked["zone"].get(asked["author"]) or asked["zone"][asked["organization"]]
    return f"{tag}=s" in text


@kind(
    "RFC 7489 section 3.1 and RFC 9989 section 3.2.10.2: strict alignment means the same domain; OpenDMARC "
    "takes names below an author's domain that is an organization's, too"
)
def name_below_is_no_strict_alignment(asked, our, their):
    below = {
        method
        for method, tag, (result, name) in [("spf_aligned", "aspf", asked["spf"])]
        + [("dkim_aligned", "adkim", signature) for signature in asked["dkim"]]
        if is_strict(asked, tag) and result == "pass" and name.endswith("." + asked["author"])
    }
    wrong = {method for method in ("spf_aligned", "dkim_aligned") if our[method] != their[method]}
    return bool(wrong) and wrong <= below and all(their[method] for method in wrong)


def as_theirs(our):
    """Our finding in OpenDMARC's words."""
    return {
        "policy": "pass" if our["result"] == "pass" else our["requested"],
        "dkim_aligned": our["dkim_aligned"],
        "spf_aligned": our["spf_aligned"],
    }


def main():
    program = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else CASES
    r = random.Random(SEED)
    questions = [question(r) for _ in range(cases)]
    lines = "".join(json.dumps(asked) + "\n" for asked in questions)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=250)
    if done.returncode != 0:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
    ours = [json.loads(line) for line in done.stdout.splitlines()]
    counts, results, unknown = {name: 0 for name in KINDS}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        other = OpenDmarc(folder)
        for number, (asked, our) in enumerate(zip(questions, ours, strict=True)):
            their, same = other.check(asked), as_theirs(our)
            results[same["policy"]] = results.get(same["policy"], 0) + 1
            if same == their:
                continue
            for name, (_, fits) in KINDS.items():
                if fits(asked, same, their):
                    counts[name] += 1
                    break
            else:
                unknown.append((number, asked, our, their))
    print("results:", ", ".join(f"{name} {count}" for name, count in sorted(results.items())))
    for name, count in counts.items():
        print(f"{count:6}  {name}: {KINDS[name][0]}")
    for number, asked, our, their in unknown[:10]:
        print(f"case {number}: {asked}\n   our {our}\n   their {their}")
    differences = sum(counts.values())
    print(f"vectors dmarc/opendmarc: {cases - differences - len(unknown)} of {cases}, {differences} differences")
    if unknown:
        raise SystemExit(f"{len(unknown)} differences have no reason")


if __name__ == "__main__":
    main()
