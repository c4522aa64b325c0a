# Types of the objects that have a behaviour of their own
# SPDX-License-Identifier: MIT
