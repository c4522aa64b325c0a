# CoAP (RFC 7252, 7641, 7959): messages, reliability, block-wise transfer
# SPDX-License-Identifier: MIT
