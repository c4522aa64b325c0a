# The unix port: the client, and asyncio from MicroPython's own tree
# SPDX-License-Identifier: MIT
include("$(MPY_DIR)/extmod/asyncio")
if options.profile != "none":
    include("../../manifest.py", profile=options.profile or "full", port="generic")
