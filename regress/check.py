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
import time

import manual

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STAGES = ("unit", "fuzz", "lint", "e2e", "e2e-san")
counts = {"passed": 0, "failed": 0, "skipped": 0}
failures = []


def report(status, name, detail=""):
    counts[status] += 1
    mark = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[status]
    if status != "passed":
        print(f"{mark}: {name}{': ' + detail if detail else ''}", flush=True)
    if status == "failed":
        failures.append(name)


def unit_tests(words):
    root = os.path.join(TOP, "build/san/unit")
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", CMOCKA_TEST_ABORT="0",
               ASAN_OPTIONS="detect_leaks=1:abort_on_error=0",
               UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")
    sources = []
    for folder, _, files in sorted(os.walk(os.path.join(TOP, "regress/unit"))):
        sources += [os.path.join(folder, f) for f in sorted(files) if f.endswith("_test.c")]
    for source in sources:
        name = os.path.relpath(source, os.path.join(TOP, "regress/unit"))[:-2]
        if words and not any(w in name for w in words):
            continue
        binary = os.path.join(root, name)
        if not os.path.exists(binary):
            report("failed", "unit " + name, "was not built")
            continue
        try:
            p = subprocess.run([binary], cwd=TOP, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=600)
            out, err, code = p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace"), p.returncode
        except subprocess.TimeoutExpired as e:
            report("failed", "unit " + name, "did not end in 600 s")
            print((e.stdout or b"").decode(errors="replace")[-2000:])
            continue
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
            print(out[-3000:] + err[-6000:], flush=True)


def fuzz_tests(words):
    """Each target over its kept corpus and a fixed number of runs from a fixed seed; `make fuzz` searches."""
    root = os.path.join(TOP, "regress/fuzz")
    for folder, _, files in sorted(os.walk(root)):
        for f in sorted(files):
            if not f.endswith("_fuzz.c"):
                continue
            name = os.path.relpath(os.path.join(folder, f), root)[:-2]
            if words and not any(w in name for w in words):
                continue
            corpus = os.path.join(root, name[:-len("_fuzz")] + ".corpus")
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
                print(out[-4000:], flush=True)


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


def e2e_tests(build, words):
    env = dict(os.environ, FIFE_BUILD=os.path.join(TOP, "build", build))
    folder = os.path.join(TOP, "regress/e2e")
    for f in sorted(os.listdir(folder)):
        if not f.endswith("_test.py"):
            continue
        if words and not any(w in f for w in words):
            continue
        start = time.monotonic()
        p = subprocess.Popen([sys.executable, f], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        seen = 0
        try:
            out, _ = p.communicate(timeout=1200)
        except subprocess.TimeoutExpired:
            p.terminate()
            out, _ = p.communicate()
            report("failed", f"e2e {build} {f}", "did not end in 1200 s")
        bad = 0
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
        if bad:
            print(out[-12000:], flush=True)
        print(f"# e2e {build} {f}: {seen} tests, {time.monotonic() - start:.0f} s", flush=True)


def main():
    stages = [a for a in sys.argv[1:] if a in STAGES] or list(STAGES)
    words = [a for a in sys.argv[1:] if a not in STAGES]
    if "unit" in stages:
        unit_tests(words)
    if "fuzz" in stages:
        fuzz_tests(words)
    if "lint" in stages and not words:
        lint_tests(words)
    if "e2e" in stages:
        e2e_tests("prod", words)
    if "e2e-san" in stages:
        e2e_tests("san", words)
    for name in failures:
        print("failed: " + name)
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


main()
