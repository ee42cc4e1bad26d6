"""SPF beside pyspf: thousands of generated records and zones, the same question to both.

    python3 pyspf_test.py PATH-TO-spf_lines [CASES]

The generator has a fixed seed, so that a case has a number. Where the two differ, the difference
must be one of KINDS: each names what RFC 7208 says, and how the case is known to be of that kind
without our result deciding it. Any other difference fails the test.
"""

import json
import random
import re
import subprocess
import sys

import spf

SEED = 7208
CASES = 8000
DEFAULT_EXPLANATION = spf.EXPLANATIONS["fail"]

# --- zones and questions --------------------------------------------------------------------------

DOMAINS = [f"d{i}.example.com" for i in range(8)] + ["example.com", "sub.d0.example.com"]
HOSTS = [f"h{i}.example.net" for i in range(6)] + ["mx.d0.example.com", "d1.example.com"]
V4 = ["192.0.2.1", "192.0.2.2", "192.0.2.130", "198.51.100.7", "203.0.113.9"]
V6 = ["2001:db8::1", "2001:db8::2", "2001:db8:1::9", "2001:db8:ffff::1"]
LOCAL_PARTS = ["joe", "strong-bad", "a.b.c", "x+y", "first.last+tag", "A_B", "o'hara", "p=q"]
HELOS = ["mail.example.net", "d1.example.com", "h0.example.net", "[192.0.2.1]", "localhost", "a b"]


def macro(r, explanation=False):
    if r.random() < 0.08:
        return r.choice(["%%", "%_", "%-"])
    letter = r.choice("slodivhp" + ("crt" if explanation and r.random() < 0.6 else ""))
    if letter == "t":
        letter = "r"  # the time differs between two programs
    if r.random() < 0.1:
        letter = letter.upper()
    digits = r.choice(["", "", "", "1", "2", "3", "10", "128"])
    reverse = r.choice(["", "", "r", "R" if r.random() < 0.1 else ""])
    delimiters = r.choice(["", "", "", "-", "+", ".-", "/", "_=", ","])
    text = "%{" + letter + digits + reverse + delimiters + "}"
    if r.random() < 0.005:
        text = r.choice(["%{}", "%{x}", "%{d", "%d", "%{d0}", "%{d-r}", "%{c}", "%{r}", "%(d)", "%"])
    return text


def domain_spec(r):
    shape = r.random()
    if shape < 0.6:
        return r.choice(DOMAINS + HOSTS)
    if shape < 0.67:
        return r.choice(DOMAINS) + "."
    if shape < 0.87:
        return macro(r) + "." + r.choice(DOMAINS)
    if shape < 0.92:
        return r.choice(["_spf.", "x", ""]) + macro(r)
    if shape < 0.985:
        return "nothing" + str(r.randrange(4)) + ".example.org"
    return r.choice(
        ["", "museum", "museum.", "192.0.2.1", "foo.123", "foo.-com", "foo.com-", "foo..example.com",
         "foo:80", "foo.example.com,", "a" * 64 + ".example.com", "foo/bar.example.com", "%{d1}",
         "xn--bcher-kva.example", "x.xn--p1ai", ".com", "-.example.com"]
    )  # fmt: skip


def cidr(r, v6_too):
    v4 = r.choice(["", "", "", "/32", "/24", "/25", "/0", "/1", "/31"])
    v6 = r.choice(["", "", "", "//128", "//64", "//0", "//33"]) if v6_too else ""
    if r.random() < 0.01:
        return r.choice(["/33", "//129", "/032", "/", "//", "/24/64", "/x", "/-1", "/24//", "///8"])
    return v4 + v6


def mechanism(r):
    kind = r.choice(["a", "a", "mx", "mx", "ip4", "ip4", "ip6", "include", "include", "exists", "ptr", "all"])
    if r.random() < 0.1:
        kind = kind.upper()
    low = kind.lower()
    if low == "all":
        return kind if r.random() < 0.6 else kind + (r.choice([".", ":x", "/8"]) if r.random() < 0.05 else "")
    if low == "ip4":
        net = r.choice(V4) if r.random() < 0.985 else r.choice(
            ["1.2.3", "1.2.3.04", "256.1.1.1", "2001:db8::1", "", "1.2.3.4.5", "192.0.2.1:25"])
        return f"{kind}:{net}{r.choice(['', '/24', '/32', '/0', '/8']) if r.random() < 0.99 else r.choice(['/33', '/08', '//32', '/'])}"
    if low == "ip6":
        net = r.choice(V6) if r.random() < 0.99 else r.choice(
            ["::1", "::ffff:192.0.2.1", "2001:db8", "1::2::3", "::192.0.2.1", "", "1:2:3:4:5:6:7::", "g::"])
        return f"{kind}:{net}{r.choice(['', '/64', '/128', '/0', '/33']) if r.random() < 0.99 else r.choice(['/129', '//64'])}"
    if low in ("include", "exists"):
        return f"{kind}:{domain_spec(r)}" if r.random() < 0.995 else kind
    argument = "" if r.random() < 0.35 else ":" + domain_spec(r)
    return kind + argument + (cidr(r, True) if low in ("a", "mx") else "")


def term(r):
    draw = r.random()
    if draw < 0.955:
        return r.choice(["", "", "+", "-", "~", "?"]) + mechanism(r)
    if draw < 0.99:
        return r.choice(["x=", "op=", "default=", "moo.cow-far_out="]) + r.choice(["", "pass", macro(r), "a:b/c"])
    return r.choice(
        ["moo", "ip:192.0.2.1", "ipv4:192.0.2.1", "=x", "1up=foo", "-", "redirect:d1.example.com", "++all",
         "a,", "all=", "v=spf1", "prt", "\x07", "a\tmx", "mx;", "192.0.2.1"])  # fmt: skip


def record(r):
    terms = [term(r) for _ in range(r.choice([0, 1, 2, 2, 3, 3, 4, 5, 8]))]
    if r.random() < 0.6:
        terms.append(r.choice(["-all", "~all", "?all", "all"]))
    elif r.random() < 0.6:
        terms.append("redirect=" + domain_spec(r))
    if r.random() < 0.2:
        terms.insert(r.randrange(len(terms) + 1), "exp=" + r.choice(["e.example.com", "e2.example.com", domain_spec(r)]))
    if r.random() < 0.02:
        terms.append(r.choice(["exp=e.example.com", "redirect=d1.example.com", "x=1 x=2"]))
    return r.choice(["v=spf1", "v=spf1", "v=spf1", "V=SPF1"]) + "".join(
        r.choice([" ", " ", "  "]) + one for one in terms
    ) + r.choice(["", "", " "])


def arpa(address):
    return str(spf.ipaddress.ip_address(address).reverse_pointer)


def zone(r):
    names = {}
    for name in DOMAINS:
        records = names.setdefault(name, [])
        draw = r.random()
        if draw < 0.04:
            records.append(["SILENT"])
        elif draw < 0.92:
            records.append(["TXT", record(r)])
        if r.random() < 0.03:
            records.append(["TXT", record(r)])
        if r.random() < 0.2:
            records.append(["TXT", r.choice(["some other text", "v=spf10 -all", "v=spf2.0/pra -all", "v=spf1-all"])])
    for name in dict.fromkeys(DOMAINS + HOSTS):
        records = names.setdefault(name, [])
        if r.random() < 0.75:
            records += [["A", a] for a in r.sample(V4, r.randrange(1, 3))]
        if r.random() < 0.5:
            records += [["AAAA", a] for a in r.sample(V6, r.randrange(1, 3))]
        if r.random() < 0.5:
            hosts = r.sample(HOSTS, r.randrange(1, 4)) if r.random() < 0.9 else [f"m{i}.example.org" for i in range(11)]
            records += [["MX", r.randrange(3) * 10, host] for host in hosts]
        if r.random() < 0.02:
            records.append(["SILENT"])
    for address in V4 + V6:
        if r.random() < 0.6:
            names[arpa(address)] = [["PTR", host] for host in r.sample(HOSTS + DOMAINS, r.randrange(1, 4))]
    for name in ("e.example.com", "e2.example.com"):
        texts = [r.choice(["Go away.", "%{i} is not one of %{d}'s", "See http://%{d}/?s=%{S}&i=%{I}", "%{c} %{r} %{v} %{h}",
                           "bad %", "%{x}", "%{p} %{l1r-}", "100%% %_ %-", macro(r, True) + macro(r, True)])]  # fmt: skip
        if r.random() < 0.1:
            texts.append("another")
        names[name] = [["TXT", text] for text in texts]
    return names


def question(r):
    host = r.choice(V4 + V6)
    if r.random() < 0.02:
        host = "::ffff:" + r.choice(V4)
    mailfrom = r.choice(LOCAL_PARTS) + "@" + r.choice(DOMAINS[:4])
    if r.random() < 0.1:
        mailfrom = ""
    return {"zone": zone(r), "host": host, "helo": r.choice(HELOS), "mailfrom": mailfrom}


# --- pyspf over a zone ----------------------------------------------------------------------------

class World:
    """What stands where the DNS would."""

    def __init__(self, names):
        self.names = {name.lower(): records for name, records in names.items()}

    def lookup(self, name, qtype, strict=True, timeout=20):
        records = self.names.get(str(name).lower().rstrip("."), [])
        found = [record[1:] for record in records if record[0] == qtype]
        if not found and ["SILENT"] in records:
            raise spf.TempError("DNS no answer in time")
        if qtype == "TXT":
            return [((name, qtype), [text.encode("latin-1")]) for (text,) in found]
        return [((name, qtype), tuple(data) if qtype == "MX" else data[0]) for data in found]


class Query(spf.query):
    """pyspf, but for three things in which it differs from the text of RFC 7208 often enough to hide
    others:

    section 4.6.4 limits the terms whose questions have no answer; pyspf counts every question, so
    also those for the hosts of an MX or PTR and those of %{p};
    section 5.5 passes over names of a PTR, and 7.3 of %{p}, whose addresses are not known;
    section 5.4 matches if any address of the hosts does; pyspf asks for all of them first, and an
    error behind a match ends it.
    """

    place = None
    pending = None

    def dns(self, name, qtype, cnames=None, ignore_void=False):
        addresses = qtype in ("A", "AAAA")
        beyond = self.place == "p" or (self.place in ("mx", "ptr") and addresses)
        try:
            return super().dns(name, qtype, cnames, ignore_void or beyond)
        except spf.TempError as error:
            if self.place in ("p", "ptr"):
                return []
            if self.place == "mx" and addresses:
                self.pending = self.pending or error
                return []
            raise

    def dns_a(self, name, A="A"):
        # What stands behind an error cannot match before it.
        return [] if self.place == "mx" and self.pending else super().dns_a(name, A)

    def cidrmatch(self, addresses, n):
        found = super().cidrmatch(addresses, n)
        error, self.pending = self.pending, None
        if error and not found:
            raise error
        return found

    def at(self, place, function, *arguments):
        before, self.place = self.place, self.place or place
        try:
            return function(*arguments)
        finally:
            self.place = before

    def dns_mx(self, name):
        return self.at("mx", super().dns_mx, name)

    def validated_ptrs(self):
        return self.at("ptr", super().validated_ptrs)

    def getp(self):
        return self.at("p", super().getp)


def ask_pyspf(asked):
    spf.DNSLookup = World(asked["zone"]).lookup
    try:
        query = Query(i=asked["host"], s=asked["mailfrom"], h=asked["helo"], receiver="receiver.example")
        result, _, text = query.check()
    except Exception as error:  # pyspf's own faults, which KINDS may name
        return {"result": "crash", "problem": f"{type(error).__name__}: {error}", "explanation": ""}
    return {
        "result": result,
        "problem": text if result in ("permerror", "temperror") else "",
        "explanation": text if result == "fail" and text != DEFAULT_EXPLANATION else "",
    }


def ask_ours(program, questions):
    lines = "".join(json.dumps(asked) + "\n" for asked in questions)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, timeout=250)
    if done.returncode != 0:
        raise SystemExit(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- differences ----------------------------------------------------------------------------------

KINDS = {}


def kind(reason):
    def add(function):
        KINDS[function.__name__] = (reason, function)
        return function

    return add


@kind("RFC 7208 section 6: unrecognized modifiers are ignored no matter how often they appear")
def unknown_modifier_twice(asked, our, their):
    found = re.search(r"Error: (\S+)= MUST appear at most once", their["problem"])
    return bool(found) and found[1].lower() not in ("exp", "redirect")


@kind("no section forbids a record to include itself; only the limit of 10 terms ends the loop")
def include_of_itself_behind_a_match(asked, our, their):
    return "include has trivial recursion" in their["problem"]


@kind("RFC 7208 section 6.2, 7.1: an explanation with other than visible US-ASCII and spaces is ignored")
def control_in_explanation(asked, our, their):
    return (
        our["result"] == their["result"]
        and our["explanation"] == ""
        and re.search(r"[^ -~]", their["explanation"]) is not None
    )


def has_term(asked, pattern):
    """A term of some record of the zone matches, without its case."""
    return any(
        re.search(pattern, one, re.I)
        for records in asked["zone"].values()
        for data in records
        if data[0] == "TXT"
        for one in data[1].split(" ")
    )


@kind("RFC 7208 section 5.7: exists = \"exists\" \":\" domain-spec; pyspf misses this behind a qualifier")
def exists_without_domain(asked, our, their):
    return our["result"] == "permerror" and has_term(asked, r"^[-+~?]exists$")


@kind("RFC 7208 section 7.3: the number of parts must not be zero")
def zero_parts(asked, our, their):
    return our["result"] == "permerror" and "0}" in our["reason"] and has_term(asked, r"%\{[a-z]0+")


@kind("RFC 7208 section 7.1: \"%%\" may stand anywhere in a macro string, at its end too")
def two_percent_signs(asked, our, their):
    found = re.search(r"invalid-macro-char : (.*)$", their["problem"])
    return bool(found) and "%" not in re.sub(r"%[%_-]|%\{[^}]*\}", "", found[1])


@kind("RFC 7208 section 7.1: \"%{\" without \"}\" is no macro, and a lone \"%\" is a syntax error")
def open_macro(asked, our, their):
    return our["result"] == "permerror" and has_term(asked, r"%\{[^}]*$")


@kind("RFC 5234 section 2.3: the \"r\" of a macro has no case")
def upper_case_r(asked, our, their):
    return any(
        re.search(r"%\{[A-Za-z][0-9]*R", data[1])
        for records in asked["zone"].values()
        for data in records
        if data[0] == "TXT"
    ) and our["result"] == their["result"]


def main():
    program = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else CASES
    r = random.Random(SEED)
    questions = [question(r) for _ in range(cases)]
    ours = ask_ours(program, questions)
    counts, results, unknown = {name: 0 for name in KINDS}, {}, []
    for number, (asked, our) in enumerate(zip(questions, ours)):
        their = ask_pyspf(asked)
        results[our["result"]] = results.get(our["result"], 0) + 1
        if (our["result"], our["explanation"]) == (their["result"], their["explanation"]):
            continue
        for name, (_, fits) in KINDS.items():
            if fits(asked, our, their):
                counts[name] += 1
                break
        else:
            unknown.append((number, asked, our, their))
    differences = sum(counts.values())
    print("results:", ", ".join(f"{name} {count}" for name, count in sorted(results.items())))
    for name, count in counts.items():
        print(f"{count:6}  {name}: {KINDS[name][0]}")
    for number, asked, our, their in unknown[:15]:
        texts = {name: [x[1] for x in records if x[0] == "TXT"] for name, records in asked["zone"].items()}
        print(f"case {number}: {asked['mailfrom']} {asked['helo']} {asked['host']}\n   our {our}\n   their {their}")
        for name, text in texts.items():
            if name in our["reason"] or name in their["problem"] or asked["mailfrom"].endswith("@" + name):
                print("     ", name, text)
    print(f"vectors spf/pyspf: {cases - differences - len(unknown)} of {cases}, {differences} differences")
    if unknown:
        raise SystemExit(f"{len(unknown)} differences have no reason")


if __name__ == "__main__":
    main()
