"""Runs some scenarios in several builds of the simulator: their hashes must be the same."""

import re
import subprocess
import sys

SCENARIOS = ["rough-days", "people", "bit-rot", "manners", "partition"]


def run(program):
    chosen = [word for name in SCENARIOS for word in ("--scenario", name)]
    done = subprocess.run([program, "--seed", "7", "--minutes", "0.3", "--no-shrink", *chosen],
                          capture_output=True, text=True, timeout=500)
    print(f"{program}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode, re.findall(r"(\S+) +seed (\d+) +(\d+) messages.* hash (\w+)", done.stdout)


answers = [run(program) for program in sys.argv[1:]]
exit_code, hashes = answers[0]
if len(answers) < 2 or exit_code != 0 or len(hashes) != len(SCENARIOS):
    sys.exit("the first build did not run them")
if any(answer != answers[0] for answer in answers):
    sys.exit("the builds do not do the same")
