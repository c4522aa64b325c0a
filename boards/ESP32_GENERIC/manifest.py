# ESP32, S3, C3: what MicroPython freezes there anyway, and the client
# SPDX-License-Identifier: MIT
include("$(PORT_DIR)/boards/manifest.py")
if options.profile != "none":
    include("../../manifest.py", profile=options.profile, port="generic")
