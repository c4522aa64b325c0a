# Types of the table of objects 0, 1 and 3, for client.objects()
# SPDX-License-Identifier: MIT
TABLE: bytes
