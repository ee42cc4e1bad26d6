"""./dev bench --authentication: what DKIM, SPF and TLS cost beside the bare cryptography, in one run.

dkim_bench, spf_evaluation_bench and real_tls_bench (Google Benchmark) measure ours and, in the same
process and in random turns, OpenSSL alone with everything made ready beforehand; `openssl speed` and
OpenDKIM are measured before and behind. Prints medians and ratios as a table. Nothing here judges a
time.

docs/performance.md tells what came out.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "mailauth"))
os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
sys.dont_write_bytecode = True

FIELDS = (
    b"Received: from mx.example.net (mx.example.net [192.0.2.1])\r\n"
    b"\tby mx.example.org with ESMTPS id 1234567890abcdef\r\n"
    b"\tfor <somebody@example.org>; Mon, 21 Sep 2026 12:00:00 +0000\r\n"
    b"From: Some Body <some.body@example.net>\r\n"
    b"To: Any Body <any.body@example.org>\r\n"
    b"Subject: A subject of ordinary length, about nothing\r\n"
    b"Date: Mon, 21 Sep 2026 12:00:00 +0000\r\n"
    b"Message-ID: <12345678.1234567890@example.net>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n")
LINE = b"The quick brown fox jumps over the lazy dog, and then it goes home.\r\n"
MESSAGE = FIELDS + b"\r\n" + LINE * (10 * 1024 // len(LINE) + 1)

# What ours is compared with, and how it is called.
ROWS = (
    ("verify a 10 KiB message, rsa-2048, key cached", "BM_Verify/ed25519:0/cold:0",
     "BM_BareVerifyRsa"),
    ("the same, key read anew from its record", "BM_Verify/ed25519:0/cold:1", "BM_BareVerifyRsa"),
    ("sign a 10 KiB message, rsa-2048", "BM_Sign/ed25519:0", "BM_BareSignRsa"),
    ("verify, ed25519, key cached", "BM_Verify/ed25519:1/cold:0", None),
    ("sign, ed25519", "BM_Sign/ed25519:1", None),
    ("SPF: five mechanisms over ready answers", "five_mechanisms", None),
    ("a TLS 1.3 handshake, both sides, ECDSA", "handshake/ecdsa", "bare_handshake/ecdsa"),
    ("the same, RSA", "handshake/rsa", "bare_handshake/rsa"),
    ("the same, ECDSA, resumed", "handshake/ecdsa_resumed", None),
)
# Octets of the heap.
MEMORY = (("one side of an idle TLS session, octets", "idle/iterations:1", "bare_idle/iterations:1"),)


def run_benchmarks(folder, repetitions):
    """Medians of CPU in microseconds, and of octets for those that count them, by name."""
    out = {}
    for program, pattern in (("dkim_bench", "BM_(Bare)?(Verify|Sign)"), ("spf_evaluation_bench", "."),
                             ("real_tls_bench", ".")):
        done = subprocess.run(
            [str(folder / program), f"--benchmark_filter={pattern}",
             f"--benchmark_repetitions={repetitions}", "--benchmark_min_time=0.1",
             "--benchmark_enable_random_interleaving=true", "--benchmark_format=json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        times = {}
        for one in json.loads(done.stdout)["benchmarks"]:
            if one["run_type"] == "iteration":
                assert one["time_unit"] == "ns"
                value = one.get("octets_per_session", one["cpu_time"] / 1000)
                times.setdefault(one["run_name"], []).append(value)
        out.update({name: statistics.median(values) for name, values in times.items()})
    return out


def openssl_speed():
    """Microseconds to verify and to sign with rsa2048."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "1", "rsa2048"],
                          capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("+F2:"))
    _, _, _, signs, verifies = line.split(":")  # in a second
    return 1e6 / float(verifies), 1e6 / float(signs)


def opendkim(repetitions):
    """Microseconds of CPU to verify and to sign MESSAGE; nothing where the library is missing."""
    try:
        import dkim_peers
        with tempfile.TemporaryDirectory() as folder:
            peer = dkim_peers.OpenDkim(dkim_peers.Keys(folder))
            forms, verify, sign = ("relaxed", "relaxed"), [], []
            signed = peer.sign(MESSAGE, forms, "rsa") + MESSAGE
            for _ in range(repetitions * 20):
                begin = time.process_time_ns()
                assert peer.verify(signed) == ["pass"]
                middle = time.process_time_ns()
                peer.sign(MESSAGE, forms, "rsa")
                verify.append((middle - begin) / 1000)
                sign.append((time.process_time_ns() - middle) / 1000)
            peer.close()
            return statistics.median(verify), statistics.median(sign)
    except (ImportError, OSError):
        return None


def main():
    smoke = "--smoke" in sys.argv[1:]
    repetitions = 1 if smoke else 9
    folder = ROOT / "build" / "bench"
    speed = [openssl_speed()]
    ours = run_benchmarks(folder, repetitions)
    peer = opendkim(repetitions)
    speed.append(openssl_speed())
    print("| CPU, medians | Postrider, µs | OpenSSL alone, µs | ratio |")
    print("|---|---|---|---|")
    for label, name, bare in ROWS:
        alone, ratio = "", ""
        if bare:
            alone, ratio = f"{ours[bare]:.1f}", f"{ours[name] / ours[bare]:.2f}"
        print(f"| {label} | {ours[name]:.1f} | {alone} | {ratio} |")
    for label, name, bare in MEMORY:
        print(f"| {label} | {ours[name]:.0f} | {ours[bare]:.0f} | {ours[name] / ours[bare]:.2f} |")
    for at, what in enumerate(("verification", "signature")):
        values = " and ".join(f"{one[at]:.1f}" for one in speed)
        print(f"| openssl speed: an rsa-2048 {what} | | {values} | |")
    if peer:
        for at, what in enumerate(("verify", "sign")):
            print(f"| OpenDKIM: {what} the same message | {peer[at]:.0f} (OpenDKIM's) | | |")
    else:
        print("(libopendkim is not here)")


if __name__ == "__main__":
    main()
