# Quectel modules whose firmware one builds oneself (Helios, UniRTOS): include this from the port's own manifest
# SPDX-License-Identifier: MIT
include("../../manifest.py", profile=options.profile, port="quectel")
