# Bootstrap accounts: the configuration that Tartabit's page describes, and what is written to a device for it.
# SPDX-License-Identifier: MIT

from __future__ import annotations


class AccountError(ValueError):
    """A configuration that cannot be used; str() names the key."""


class Accounts:
    """Which configuration each endpoint gets: the hook's answer, its own, the server's, or the default account."""

    def check(self, table: dict) -> None:
        """AccountError when a configuration (from JSON or TOML) cannot be used."""
        raise NotImplementedError
