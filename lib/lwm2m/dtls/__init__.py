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
    if mode == 0:
        from .record import SUITES, Secure

        name = "dtls%d" % s.sec
        session = s.kept or (c.load and c.load(name))
        suites = [x for x in (d.get(16) or {}).values() if x in SUITES] or SUITES[:1]
        return Secure(
            lower,
            identity,
            key,
            suites=suites,
            session=session,
            save=c.save and (lambda b: c.save(name, b)),
        )
    raise ValueError("security mode %d" % mode)
