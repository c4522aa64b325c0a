# From the source to what goes onto a board: images, .mpy files, packages
# SPDX-License-Identifier: MIT
