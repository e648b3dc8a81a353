#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Runs all tests and ends with «N passed, N failed, N skipped».

usage: check.py [unit] [fuzz] [lint] [e2e] [e2e-san] [WORD ...]   (default: everything)
A WORD that is none of these selects the tests whose name contains it.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import manual

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LONG = tuple(n + "_test.py" for n in ("submission", "imap_model", "attack", "mailbox", "imap_storm", "resolver", "crash",
                                      "search", "hostile_peer", "gate", "bounces"))
STAGES = ("unit", "fuzz", "lint", "e2e", "e2e-san")
WORKERS = os.cpu_count() or 1
counts = {"passed": 0, "failed": 0, "skipped": 0}
failures = []
lock = threading.Lock()


def say(text):
    with lock:
        print(text, flush=True)


def report(status, name, detail=""):
    mark = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[status]
    with lock:
        counts[status] += 1
        if status != "passed":
            print(f"{mark}: {name}{': ' + detail if detail else ''}", flush=True)
        if status == "failed":
            failures.append(name)


def at_once(task, items):
    """Does task(item) for each item, as many at a time as there are cores, begun in the order given."""
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(task, item) for item in items]:
            done.result()


def unit_test(name):
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", CMOCKA_TEST_ABORT="0",
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    binary = os.path.join(TOP, "build/san/unit", name)
    if not os.path.exists(binary):
        report("failed", "unit " + name, "was not built")
        return
    try:
        p = subprocess.run([binary], cwd=TOP, env=env, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
        out, err, code = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace"), p.returncode
    except subprocess.TimeoutExpired as e:
        report("failed", "unit " + name, "did not end in 600 s")
        say((e.stdout or b"").decode(errors="replace")[-2000:])
        return
    seen = bad = 0
    for line in out.splitlines():
        m = re.match(r"\s*(not )?ok \d+ - (\S+)(.*)", line)
        if not m:
            continue
        seen += 1
        if "# SKIP" in m.group(3):
            report("skipped", f"unit {name} {m.group(2)}")
        elif m.group(1):
            bad += 1
            report("failed", f"unit {name} {m.group(2)}")
        else:
            report("passed", f"unit {name} {m.group(2)}")
    if seen == 0 or (code != 0 and bad == 0):
        report("failed", "unit " + name, f"ended with status {code}")
        bad = 1
    if bad:
        say(out[-3000:] + err[-6000:])


def sources(folder, end):
    """The files below folder with that end, as their paths in it without the suffix."""
    found = []
    for where, _, files in sorted(os.walk(folder)):
        found += [os.path.relpath(os.path.join(where, f), folder)[:-2] for f in sorted(files) if f.endswith(end)]
    return found


def chosen(names, words):
    return [n for n in names if not words or any(w in n for w in words)]


def fuzz_test(name):
    """One target over its kept corpus and a fixed number of runs from a fixed seed; `make fuzz` searches."""
    corpus = os.path.join(TOP, "regress/fuzz", name[:-len("_fuzz")] + ".corpus")
    command = [os.path.join(TOP, "build/fuzz/bin", name), "-seed=1", "-runs=3000", "-timeout=20",
               "-rss_limit_mb=3000", "-artifact_prefix=" + os.path.join(TOP, "build/fuzz/")]
    with tempfile.TemporaryDirectory() as scratch:
        try:
            p = subprocess.run(command + [scratch] + ([corpus] if os.path.isdir(corpus) else []), cwd=TOP,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               timeout=300)
            ok, out = p.returncode == 0, p.stdout.decode(errors="replace")
        except (subprocess.TimeoutExpired, OSError) as e:
            ok, out = False, str(e)
    report("passed" if ok else "failed", "fuzz " + name)
    if not ok:
        say(out[-4000:])


def lint_tests(words):
    for page in sorted(os.listdir(os.path.join(TOP, "man"))):
        p = subprocess.run(["mandoc", "-Tlint", "-Wwarning", "man/" + page], cwd=TOP,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        report("passed" if p.returncode == 0 else "failed", "man " + page, p.stdout[:400])
    for name, wrong in manual.checks():
        report("failed" if wrong else "passed", name, wrong)
    if shutil.which("clang-format"):
        files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=TOP, text=True,
                               stdout=subprocess.PIPE).stdout.split()
        p = subprocess.run(["clang-format", "--dry-run", "--Werror"] + files, cwd=TOP, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        report("passed" if p.returncode == 0 else "failed", "layout", p.stdout[:600])
    else:
        report("skipped", "layout: no clang-format")
    banned = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|alloca|strtok)\(")
    files = subprocess.run(["git", "ls-files", "*.c", "*.h"], cwd=TOP, text=True,
                           stdout=subprocess.PIPE).stdout.split()
    for f in files:
        if f.startswith("regress/"):
            continue
        text = open(os.path.join(TOP, f), encoding="utf-8", errors="replace").read()
        hits = banned.findall(text)
        report("failed" if hits else "passed", "calls in " + f, " ".join(hits))


def e2e_test(job):
    build, f = job
    env = dict(os.environ, FIFE_BUILD=os.path.join(TOP, "build", build))
    start = time.monotonic()
    p = subprocess.Popen([sys.executable, f], cwd=os.path.join(TOP, "regress/e2e"), env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace")
    seen = bad = 0
    try:
        out, _ = p.communicate(timeout=1200)
    except subprocess.TimeoutExpired:
        p.terminate()
        out, _ = p.communicate()
        report("failed", f"e2e {build} {f}", "did not end in 1200 s")
        bad = 1
    for line in out.splitlines():
        m = re.match(r"(ok|not ok|skipped) - (.*)", line)
        if not m:
            continue
        seen += 1
        status = {"ok": "passed", "not ok": "failed", "skipped": "skipped"}[m.group(1)]
        bad += status == "failed"
        report(status, f"e2e {build} {f} {m.group(2)}")
    if p.returncode != 0 and bad == 0:
        report("failed", f"e2e {build} {f}", f"ended with status {p.returncode}")
        bad = 1
    if seen == 0 and bad == 0:
        report("failed", f"e2e {build} {f}", "ran no test")
        bad = 1
    say((out[-12000:] + "\n" if bad else "") +
        f"# e2e {build} {f}: {seen} tests, {time.monotonic() - start:.0f} s")


def main():
    stages = [a for a in sys.argv[1:] if a in STAGES] or list(STAGES)
    words = [a for a in sys.argv[1:] if a not in STAGES]
    if "unit" in stages:
        at_once(unit_test, chosen(sources(os.path.join(TOP, "regress/unit"), "_test.c"), words))
    if "fuzz" in stages:
        at_once(fuzz_test, chosen(sources(os.path.join(TOP, "regress/fuzz"), "_fuzz.c"), words))
    if "lint" in stages and not words:
        lint_tests(words)
    files = [f for f in os.listdir(os.path.join(TOP, "regress/e2e")) if f.endswith("_test.py")]
    # The longest first, so that no core waits at the end.
    files = sorted(chosen(files, words), key=lambda f: (LONG.index(f) if f in LONG else len(LONG), f))
    at_once(e2e_test, [(build, f) for stage, build in (("e2e-san", "san"), ("e2e", "prod")) if stage in stages
                       for f in files])
    for name in failures:
        print("failed: " + name)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


main()
