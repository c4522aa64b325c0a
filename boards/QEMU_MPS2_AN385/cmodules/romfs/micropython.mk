# The ROMFS segment of the emulated board
# SPDX-License-Identifier: MIT
SRC_USERMOD_C += $(USERMOD_DIR)/romfs.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)
