// The QEMU port's settings, and what mpremote needs besides: binary standard input and output, a ROMFS segment
// SPDX-License-Identifier: MIT
#include <mpconfigport.h>

#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL (1)
