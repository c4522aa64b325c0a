# Object 16, Portfolio: identities of other instances, and authentication data on request
# SPDX-License-Identifier: MIT
from ..ids import AUTHENTICATION_DATA, AUTHENTICATION_STATUS, GET_AUTHENTICATION, PORTFOLIO
from ..model.tree import ON_EXECUTE, ON_READ
from ..model.values import OPAQUE, parse_path, to_stored

# authentication status (16/x/3)
_NO_DATA = const(0)
_DATA_AVAILABLE = const(1)
_FAILED = const(2)


def setup(client, auth=None):
    """Give object 16 its behaviour; instances are made by create() or by a server. An Execute of 16/x/1
    calls `auth(path, arguments)`, which returns what 16/x/2 is to show once, a list of bytes. 16/x/3 says
    whether there is any: 0 no, 1 yes, 2 `auth` raised ValueError."""
    tree = client.tree

    def authenticate(path, arguments):
        iid = parse_path(path)[1]
        data = None
        try:
            data = to_stored(OPAQUE, dict(enumerate(auth(path, arguments))))
        except ValueError:
            pass
        tree.store(PORTFOLIO, iid, AUTHENTICATION_DATA, -1, data)
        tree.store(PORTFOLIO, iid, AUTHENTICATION_STATUS, -1, _DATA_AVAILABLE if data else _FAILED)

    def taken(iid):
        tree.store(PORTFOLIO, iid, AUTHENTICATION_STATUS, -1, _NO_DATA)

    def show(path, data):
        if data:
            # the answer that is being written goes out first
            client.call_soon(taken, parse_path(path)[1])
        return data

    tree.show(PORTFOLIO)
    tree.add_hook(ON_READ, PORTFOLIO, -1, AUTHENTICATION_DATA, show)
    if auth:
        tree.add_hook(ON_EXECUTE, PORTFOLIO, -1, GET_AUTHENTICATION, authenticate)
