# The Cortex-M3 board in QEMU, with its network and its counter of instructions
# SPDX-License-Identifier: MIT
