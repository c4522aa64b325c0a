# Pico W and Pico 2 W: what MicroPython freezes there anyway, and the client
# SPDX-License-Identifier: MIT
include("$(BOARD_DIR)/manifest.py")
if options.profile != "none":
    include("../../manifest.py", profile=options.profile, port="generic")
