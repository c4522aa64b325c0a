# Runs the unit tests on MicroPython: micropython tests/unit/run.py [module or module.function ...]
# SPDX-License-Identifier: MIT
"""Imports each test_*.py beside this file and calls its test_* functions; the last line sums up.

A frozen `lwm2m` is preferred to that in lib/, so the same command tests an image."""

import gc

try:
    import uos as os
    import utime as time
except ImportError:
    import os
    import time
try:
    import usys as sys
except ImportError:
    import sys


def here():
    try:
        return __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
    except NameError:
        return "."


def paths(home):
    # Behind .frozen and what MICROPYPATH names, so that a package there is what gets tested.
    at = sys.path.index(".frozen") + 1 if ".frozen" in sys.path else len(sys.path)
    sys.path.insert(at, home + "/../../lib")
    sys.path.insert(at, home)


def pick(names, module):
    """The functions of a module that the names on the command line ask for: None is all."""
    if not names:
        return None
    wanted = []
    for name in names:
        m, f = (name + ".").split(".")[:2]
        if m in (module, module[5:]):
            if not f:
                return None
            wanted.append(f if f.startswith("test_") else "test_" + f)
    return wanted


def main(names):
    home = here()
    paths(home)
    from link import Skip, forget

    passed = failed = skipped = 0
    for file in sorted([entry[0] for entry in os.ilistdir(home)]):
        module = file[:-3]
        if not (file.startswith("test_") and file.endswith(".py")):
            continue
        wanted = pick(names, module)
        if wanted == []:
            continue
        start = time.ticks_ms()
        before = passed
        try:
            m = __import__(module)
        except Skip as e:
            skipped += 1
            print("skip", module, e)
            continue
        except Exception as e:
            failed += 1
            print("FAIL", module)
            sys.print_exception(e)
            continue
        found = [f for f in dir(m) if f.startswith("test_")]
        if wanted:
            unknown = [f for f in wanted if f not in found]
            if unknown:
                failed += 1
                print("FAIL", module, "has no", unknown)
        for f in sorted(wanted or found):
            if f not in found:
                continue
            try:
                getattr(m, f)()
                passed += 1
            except Skip as e:
                skipped += 1
                print("skip", module + "." + f, e)
            except Exception as e:
                failed += 1
                print("FAIL", module + "." + f)
                sys.print_exception(e)
            forget()
            gc.collect()
        del sys.modules[module]
        print(
            "%-24s %3d passed, %5d ms"
            % (module, passed - before, time.ticks_diff(time.ticks_ms(), start))
        )
    if names and not passed + failed + skipped:
        failed = 1
        print("FAIL no such test:", " ".join(names))
    if skipped:
        print("%d skipped" % skipped)
    print("%d passed, %d failed" % (passed, failed))
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
