# Host-side tools (CPython): object compiler, servers, demo.
# SPDX-License-Identifier: MIT
