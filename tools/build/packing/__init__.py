# The steps of tools/build/pack.py, in the order in which they are taken
# SPDX-License-Identifier: MIT
