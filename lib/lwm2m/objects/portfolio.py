# Object 16, Portfolio: identities of other instances, and authentication data on request
# SPDX-License-Identifier: MIT
from ..model.values import to_stored, parse_path
from ..model.tree import ON_READ, ON_EXECUTE


def setup(client, auth=None):
    """Give object 16 its behaviour; instances are made by create() or by a server. An Execute of 16/x/1
    calls `auth(path, arguments)`, which returns what 16/x/2 is to show once, a list of bytes. 16/x/3 says
    whether there is any: 0 no, 1 yes, 2 `auth` raised ValueError."""
    t = client.tree

    def make(path, args):
        i = parse_path(path)[1]
        v = None
        try:
            v = auth(path, args)
            v = to_stored(5, {k: v[k] for k in range(len(v))})
        except ValueError:
            pass
        t.store(16, i, 2, -1, v)
        t.store(16, i, 3, -1, 1 if v else 2)

    def taken(i):
        t.store(16, i, 3, -1, 0)

    def show(path, v):
        if v:
            # the answer that is being written goes out first
            client.call_soon(taken, parse_path(path)[1])
        return v

    t.objects.setdefault(16, {})
    h = t.hooks.setdefault(16, [])
    h.append((ON_READ, -1, 2, show))
    if auth:
        h.append((ON_EXECUTE, -1, 1, make))
