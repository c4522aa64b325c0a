# Kinds of functions for client.tree.add_hook(), under the names that objects of one's own import
# SPDX-License-Identifier: MIT
from .model.tree import ON_CHANGE as _ON_CHANGE
from .model.tree import ON_CREATE as _ON_CREATE
from .model.tree import ON_DELETE as _ON_DELETE
from .model.tree import ON_EXECUTE as _ON_EXECUTE
from .model.tree import ON_READ as _ON_READ
from .model.tree import ON_WRITE as _ON_WRITE
from .model.tree import VALIDATE as _VALIDATE

# In a packed image they are here alone: model/tree.py is a part of client.py there.
ON_READ = _ON_READ
ON_WRITE = _ON_WRITE
ON_EXECUTE = _ON_EXECUTE
ON_CREATE = _ON_CREATE
ON_DELETE = _ON_DELETE
VALIDATE = _VALIDATE
ON_CHANGE = _ON_CHANGE
