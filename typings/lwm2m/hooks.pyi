# Types of the kinds of functions for client.tree.add_hook()
# SPDX-License-Identifier: MIT
ON_READ: int
ON_WRITE: int
ON_EXECUTE: int
ON_CREATE: int
ON_DELETE: int
VALIDATE: int
ON_CHANGE: int
