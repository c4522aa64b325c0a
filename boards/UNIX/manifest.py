# The unix port: the client, and asyncio from MicroPython's own tree
# SPDX-License-Identifier: MIT
if options.port != "quectel":
    # It knows modules by the names that QuecPython lacks.
    include("$(MPY_DIR)/extmod/asyncio")
if options.profile != "none":
    include("../../manifest.py", profile=options.profile, port=options.port or "generic")
