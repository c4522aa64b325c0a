# Where a package goes: what every slot has
# SPDX-License-Identifier: MIT


class UnsupportedPackage(ValueError):
    """What begins like this is no package of this slot."""
