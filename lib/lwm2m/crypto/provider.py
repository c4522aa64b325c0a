# AES-128 and SHA-256: the platform's own where it has them, else those beside this file
# SPDX-License-Identifier: MIT
from ..port import module

try:
    aes = module("cryptolib").aes
except (ImportError, AttributeError):
    from .aes import aes

try:
    sha256 = module("hashlib").sha256
except (ImportError, AttributeError):
    from .sha256 import sha256
