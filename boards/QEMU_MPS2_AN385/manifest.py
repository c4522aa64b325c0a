# The emulated Cortex-M3: the client, and what stands in for clock, randomness and network
# SPDX-License-Identifier: MIT
module("lwm2m_port.py", opt=3)
module("select.py", opt=3)
if options.profile != "none":
    include(
        "../../manifest.py",
        profile=options.profile,
        port="own",
        crypto=options.profile != "core",
        viper=options.profile != "core",
    )
