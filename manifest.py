# What an image holds: freezes a profile of the client into any MicroPython build, and is the table of files for all tools
# SPDX-License-Identifier: MIT
#
#   include("/path/to/micropython-lwm2m/manifest.py", profile="standard")
#
# Options: profile "core", "standard" or "full"; any feature below by name, True to add it, False to leave it
# out (shell=True); port, the name of one platform or several (all by default); debug=True freezes the source as it
# is, with line numbers; packed=FOLDER says where the packed source goes, and the map of its names (build/packed by
# default), packed=False leaves the source as it is, but without line numbers.

# Paths are relative to lib/lwm2m. A file that is not there is skipped; `make lint` finds files that no feature has.
FEATURES = {
    "core": (
        "__init__.py",
        "quectel.py",
        "client.py",
        "servers.py",
        "session/bootstrap.py",
        "session/registration.py",
        "session/session.py",
        "session/connect.py",
        "management/dispatch.py",
        "management/discover.py",
        "management/operations.py",
        "reporting/observations.py",
        "reporting/attributes.py",
        "formats/__init__.py",
        "formats/link.py",
        "formats/text.py",
        "formats/opaque.py",
        "formats/tlv.py",
        "objects/device.py",
        "model/tree.py",
        "model/values.py",
        "model/tables/core.py",
        "coap/endpoint.py",
        "coap/blockwise.py",
        "coap/recent.py",
        "coap/message.py",
        "coap/numbers.py",
        "ids.py",
        "events.py",
        "port/__init__.py",
    ),
    "dtls": (
        "dtls/channel.py",
        "dtls/record.py",
        "dtls/ccm.py",
        "dtls/numbers.py",
        "dtls/handshake.py",
        "crypto/provider.py",
        "crypto/prf.py",
    ),
    "cbor": ("formats/cbor.py", "formats/senml.py", "formats/senml_cbor.py"),
    "composite": ("management/composite.py", "reporting/composite.py"),
    "send": ("reporting/send.py",),
    "resume": (
        "session/resume.py",
        "formats/json_text.py",
    ),  # for the options load and save of an image with dtls
    "objects": (
        "model/tables/standard.py",
        "objects/access.py",
        "objects/connmon.py",
        "objects/connstat.py",
        "objects/location.py",
    ),
    # object 5: packages that servers push, or that are fetched by CoAP
    "firmware": (
        "objects/firmware.py",
        "transfer.py",
        "coap/download.py",
        "formats/stream.py",
        "model/tables/standard.py",
        "port/slot.py",
    ),
    "http": ("http.py",),  # and by HTTP
    "asyncio": ("aio.py",),
    "storage": ("storage.py",),  # the account and more outlive a power cut, in files
    "cbc": ("dtls/cbc.py",),
    "crypto": ("crypto/aes.py", "crypto/sha256.py"),
    # Machine code: in frozen images, or as .mpy for one architecture; no profile has it.
    "viper": ("crypto/viper.py",),
    "native": ("dtls/channel.py", "dtls/native.py", "dtls/numbers.py"),
    "json": (
        "formats/cbor.py",
        "formats/senml.py",
        "formats/senml_json.py",
        "formats/json.py",
        "formats/json_text.py",
    ),
    "lwm2m_cbor": ("formats/cbor.py", "formats/senml.py", "formats/lwm2m_cbor.py"),
    "series": ("reporting/timeseries.py", "reporting/storing.py"),
    "shell": ("shell.py",),
    "extra": ("objects/portfolio.py", "objects/binary.py"),
    "hooks": ("hooks.py",),  # for objects of one's own
    "sensors": ("model/tables/ipso.py", "objects/sensor.py"),
    "actuators": ("model/tables/ipso.py", "objects/timer.py", "objects/light.py"),
}

# A profile has the features of the one before it too.
PROFILES = {
    "core": ("core",),
    "standard": (
        "dtls",
        "cbor",
        "composite",
        "send",
        "objects",
        "hooks",
        "sensors",
        "asyncio",
        "firmware",
        "storage",
    ),
    "full": (
        "resume",
        "http",
        "cbc",
        "native",
        "json",
        "lwm2m_cbor",
        "series",
        "shell",
        "extra",
        "actuators",
    ),
}
# What an image holds where nothing is said.
DEFAULT = "standard"

# Files of one platform: an image needs those of its own. A board with a frozen module `lwm2m_port` needs none.
PORTS = {
    "generic": ("port/generic.py",),
    "quectel": ("port/generic.py", "port/quecpython.py", "port/cellular.py", "port/utf8.py"),
    "own": (),
}

# Files that a client loads in any case, the one that it begins with first: the packer joins those of them that are
# imported at once, and leaves apart what waits until it is needed.
LOADED = ("client.py", *FEATURES["core"])


def features(profile, **single):
    """Names of the features of a profile, with single ones added (True) or left out (False)."""
    names = []
    if profile not in PROFILES:
        raise ValueError("profile {!r}: not one of {}".format(profile, ", ".join(PROFILES)))
    for name in PROFILES:
        names.extend(PROFILES[name])
        if name == profile:
            break
    return [
        name
        for name in FEATURES
        if single.get(name) or (name in names and single.get(name) is not False)
    ]


def files(names, ports=None):
    """Files of the features and ports that are named, sorted, relative to lib/lwm2m."""
    ports = (ports,) if isinstance(ports, str) else PORTS if ports is None else ports
    for port in ports:
        if port not in PORTS:
            raise ValueError("port {!r}: not one of {}".format(port, ", ".join(PORTS)))
    return sorted(
        {f for name in names for f in FEATURES[name]} | {f for p in ports for f in PORTS[p]}
    )


def freeze_profile():
    """Freezes what the options ask for, packed, or with debug=True or packed=False as it stands."""
    import os

    defaults = {"profile": DEFAULT, "port": None, "debug": False, "packed": None}
    options.defaults(**defaults)
    # A misspelt option would be as good as none.
    for name in options._kwargs or ():
        if name not in FEATURES and name not in defaults:
            raise ValueError(
                "option {!r}: not one of {}".format(name, ", ".join((*defaults, *FEATURES)))
            )
    single = {name: getattr(options, name) for name in FEATURES}
    found = files(features(options.profile or DEFAULT, **single), options.port)
    found = [f for f in found if os.path.exists(os.path.join("lib/lwm2m", f))]
    if options.debug or options.packed is False:
        package("lwm2m", files=found, base_path="lib", opt=0 if options.debug else 3)
    else:
        base = packed(found, options.packed)
        package("lwm2m", files=base[1], base_path=base[0], opt=3)


def packed(found, folder):
    """Packs the files into a folder; returns it, and the names of what is in it."""
    import os, sys

    sys.path.insert(0, os.getcwd())
    try:
        from tools.build.pack import pack
    finally:
        sys.path.pop(0)
    made = pack(found, LOADED)
    if not folder:
        folder = os.path.join(os.getcwd(), "build/packed", made.digest)
    return folder, made.write(folder)


# The tools read the tables without a build around them: then there are no options.
if "options" in globals():
    freeze_profile()
