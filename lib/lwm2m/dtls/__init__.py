# DTLS: which secure channel a security mode takes (Core 1.1.1 E.1, resource 2)
# SPDX-License-Identifier: MIT


def secured(c, s, d, lower, host):
    """The secure channel over `lower` for session `s` of client `c`, from the security instance `d`;
    ValueError where its mode is not supported, ImportError where its part is not in the image."""
    mode = d.get(2)
    identity = d.get(3) or b""
    key = d.get(5) or b""
    if c.load_credentials:
        identity, key = c.load_credentials(s.ssid)
    suites = list((d.get(16) or {}).values())
    timeout = c.coap.get("ack_timeout", 2000)
    if mode == 0:
        from .record import SUITES, Secure

        own = [x for x in suites or SUITES[:1] if x in SUITES]
        if own:
            name = "dtls%d" % s.sec
            # a session is of use with the account that it was made for
            mark = ((hash(d[0]) ^ hash(identity) ^ hash(key)) & 0xFFFFFF).to_bytes(3, "big")
            session = c.load and c.load(name)
            session = s.kept or (session and session[:3] == mark and session[3:])
            save = c.save and (lambda b: c.save(name, mark + b))
            return Secure(lower, identity, key, own, session=session, timeout=timeout, save=save)
    if mode in (0, 2):
        from .native import Native

        a = {"identity": identity, "key": key}
        if mode:
            a = {"cert": identity, "private": key, "ca": d.get(4), "name": host}
        try:
            return Native(lower, suites=suites, within=30 * timeout, **a)
        except OSError:
            pass  # not in this MicroPython
    raise ValueError("security mode %d" % mode)
