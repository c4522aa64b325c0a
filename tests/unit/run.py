# Runs the unit tests on MicroPython: micropython tests/unit/run.py [-x] [-t] [module or module.function ...]
# SPDX-License-Identifier: MIT
"""Imports each test_*.py beside this file and calls its test_* functions; the last line sums up.

-x stops at the first failure, -t tells the time of each test. A frozen `lwm2m` is preferred to that in lib/, so
the same command tests an image. A name that no test has, and a traceback that the library printed and its test
did not expect (link.printed), are failures."""

import gc
import os
import sys
import time


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


class Names:
    """What the command line picks; `unknown` are the names that no module and no function had so far."""

    def __init__(self, names):
        self.names = names
        self.unknown = set(names)

    def functions(self, module):
        """{function: name on the command line} asked for in a module; {} is all of them, None no one."""
        if not self.names:
            return {}
        wanted = {}
        whole = False
        for name in self.names:
            m, _, f = name.partition(".")
            if m in (module, module[5:]):
                if f:
                    wanted[f if f.startswith("test_") else "test_" + f] = name
                else:
                    self.unknown.discard(name)
                    whole = True
        return {} if whole else wanted or None


class Run:
    """One run of the tests, and its counts."""

    def __init__(self, names, stop, times):
        self.names = Names(names)
        self.stop = stop
        self.times = times
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, *why):
        self.failed += 1
        print("FAIL", name, *[x for x in why if not isinstance(x, Exception)])
        for e in why:
            if isinstance(e, Exception):
                sys.print_exception(e)

    def over(self):
        return self.stop and self.failed

    def module(self, name):
        """Run what is wanted of a module."""
        from link import Skip

        wanted = self.names.functions(name)
        if wanted is None:
            return
        start = time.ticks_ms()
        before = self.passed
        try:
            module = __import__(name)
        except Skip as e:
            self.skipped += 1
            for asked in wanted.values():
                self.names.unknown.discard(asked)
            print("skip", name, e)
            return
        except Exception as e:
            self.fail(name, e)
            return
        slowest = (0, "")
        for f in sorted([f for f in dir(module) if f.startswith("test_")]):
            if self.over() or (wanted and f not in wanted):
                continue
            self.names.unknown.discard(wanted.get(f))
            began = time.ticks_ms()
            self.test(name + "." + f, getattr(module, f))
            slowest = max(slowest, (time.ticks_diff(time.ticks_ms(), began), f))
            if self.times:
                print("%7d ms %s.%s" % (time.ticks_diff(time.ticks_ms(), began), name, f))
        del sys.modules[name]
        print(
            "%-24s %3d passed, %5d ms; longest %s, %d ms"
            % (
                name,
                self.passed - before,
                time.ticks_diff(time.ticks_ms(), start),
                slowest[1],
                slowest[0],
            )
        )

    def test(self, name, function):
        from link import Skip, forget, left_over

        try:
            function()
        except Skip as e:
            self.skipped += 1
            print("skip", name, e)
        except Exception as e:
            self.fail(name, e, *left_over())
        else:
            errors = left_over()
            if errors:
                self.fail(name, "printed what it does not expect:", *errors)
            else:
                self.passed += 1
        forget()
        gc.collect()


def main(arguments):
    home = here()
    paths(home)
    options = [x for x in arguments if x.startswith("-")]
    if [x for x in options if x not in ("-x", "-t")]:
        print("options are -x, stop at the first failure, and -t, tell the time of each test")
        return 1
    names = [x for x in arguments if x not in options]
    run = Run(names, "-x" in options, "-t" in options)
    for file in sorted(os.listdir(home)):
        if file.startswith("test_") and file.endswith(".py") and not run.over():
            run.module(file[:-3])
    if run.names.unknown and not run.over():
        run.fail("no such test:", " ".join(sorted(run.names.unknown)))
    if run.skipped:
        print("%d skipped" % run.skipped)
    print("%d passed, %d failed" % (run.passed, run.failed))
    return run.failed


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
