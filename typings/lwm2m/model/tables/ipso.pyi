# Types of the table of the IPSO objects, for client.objects()
# SPDX-License-Identifier: MIT
TABLE: bytes
