# packed(profile): the folder of a packed client, made once
# SPDX-License-Identifier: MIT
from __future__ import annotations

import pytest

from tools.build import pack, profiles


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """packed(profile): a folder with the package lwm2m, and its names.json."""
    made = {}

    def make(profile, ports=None, **single):
        key = (profile, ports, *sorted(single.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(profile)
            names = profiles.files(profile, ports, **single)
            pack.pack(names, profiles.loaded()).write(made[key])
        return made[key]

    return make
