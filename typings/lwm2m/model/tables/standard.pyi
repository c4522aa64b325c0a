# Types of the table of objects 2, 4 to 7, 11, 16 and 19, for client.objects()
# SPDX-License-Identifier: MIT
TABLE: bytes
