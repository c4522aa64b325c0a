# DTLS 1.2: the secure channels, by MicroPython's own tls or in pure Python
# SPDX-License-Identifier: MIT
