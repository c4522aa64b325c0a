# Objects that have a behaviour of their own, one file each
# SPDX-License-Identifier: MIT
