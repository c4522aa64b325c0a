# Secure channels: record (DTLS 1.2 with pre-shared keys) and native (MicroPython's own tls)
# SPDX-License-Identifier: MIT
