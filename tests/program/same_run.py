"""Runs some seeds in several builds of the simulator: they must print the same, hashes included."""

import subprocess
import sys


def run(program):
    done = subprocess.run([program, "--seed", "7", "--seeds", "2", "--losses", "8", "--rough"],
                          capture_output=True, text=True, timeout=500)
    print(f"{program}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.returncode, done.stdout


answers = [run(program) for program in sys.argv[1:]]
if len(answers) < 2 or answers[0][0] != 0 or any(answer != answers[0] for answer in answers):
    sys.exit("the builds do not do the same")
