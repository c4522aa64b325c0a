# What CI holds: sizes, speed, style, stubs
# SPDX-License-Identifier: MIT
