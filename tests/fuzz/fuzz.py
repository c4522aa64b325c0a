# The fuzzer: micropython tests/fuzz/fuzz.py [-n datagrams] [-s seed] [-v] [kind ...]
# SPDX-License-Identifier: MIT
"""In process, on a turned clock, through `transport=`: servers in memory say anything to a client (lives.py).
It checks that nothing leaves poll(), that nothing grows, that object 0 stays closed, and that a read is answered
at the end. The same seed does the same; a failure tells the last datagrams, -v prints each."""

import sys
import time


def home():
    return __file__.rsplit("/", 1)[0] if "/" in __file__ else "."


sys.path.insert(0, home())
sys.path.insert(1, home() + "/../unit")
sys.path.insert(
    sys.path.index(".frozen") + 1 if ".frozen" in sys.path else 2, home() + "/../../lib"
)

from binascii import hexlify

from lives import KINDS, Fault
from link import forget, left_over

GROWTH = 1024  # bytes
CHECKS = 12  # how often the heap is measured


def tell(kind, seed, n, life, e):
    print("FAIL %s: seed %d, datagram %d" % (kind, seed, n))
    sys.print_exception(e)
    for x in left_over()[-3:]:
        sys.print_exception(x)
    print("the last datagrams:")
    for d in life.sent if life else ():
        print("  ", hexlify(d).decode())


def growth(used):
    """What is added to the heap for good: the least of the last sizes less the most of the first, as what a server
    has written stays where it is, and MicroPython's collector takes what looks like a pointer for one."""
    used = used[len(used) // 4 :]  # the first fill what is kept from then on
    if len(used) < 4:
        return 0
    return min(used[-len(used) // 4 :]) - max(used[: len(used) // 2])


def run(kind, count, seed, verbose=False):
    """One kind of server; True where all holds."""
    start = time.ticks_ms()
    life = None
    n = 0
    used = []
    try:
        life = KINDS[kind](seed)
        every = max(count // CHECKS, 1)
        for n in range(1, count + 1):
            life.step()
            if verbose and life.sent:
                print(n, hexlify(life.sent[-1]).decode())
            if n % 50 == 0:
                life.check()
            if n % every == 0:
                life.check()
                life.recover()
                used.append(life.used())
        life.check()
        life.recover()
        grown = growth(used)
        if grown > GROWTH:
            raise Fault("the heap grew by %d bytes: %r" % (grown, used))
    except Exception as e:
        tell(kind, seed, n, life, e)
        return False
    print(
        "%-10s %7d datagrams, seed %d, growth %d bytes, %d s"
        % (kind, count, seed, grown, time.ticks_diff(time.ticks_ms(), start) // 1000)
    )
    forget()
    return True


def main(arguments):
    count, seed = 20000, 1
    kinds = []
    verbose = False
    arguments = list(arguments)
    while arguments:
        a = arguments.pop(0)
        if a in ("-n", "-s"):
            try:
                n = int(arguments.pop(0))
            except (IndexError, ValueError):
                print("error: a number must follow", a)
                return 2
            if a == "-n":
                count = n
            else:
                seed = n
        elif a == "-v":
            verbose = True
        elif a in KINDS:
            kinds.append(a)
        else:
            print("error: no such kind:", a, "- there are", " ".join(sorted(KINDS)))
            return 2
    kinds = kinds or sorted(KINDS)
    good = [run(kind, max(count // len(kinds), 1), seed, verbose) for kind in kinds]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
