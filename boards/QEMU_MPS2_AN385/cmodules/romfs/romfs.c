// The ROMFS segment of the emulated board: a part of its PSRAM, which stays as it is until the emulator ends
// SPDX-License-Identifier: MIT
#include <string.h>

#include "py/mperrno.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#define ROM ((uint8_t *)0x21000000)
#define ROM_SIZE (1024 * 1024)

mp_obj_t mp_vfs_rom_ioctl(size_t n_args, const mp_obj_t *args) {
    mp_int_t command = mp_obj_get_int(args[0]);
    if (command == MP_VFS_ROM_IOCTL_GET_NUMBER_OF_SEGMENTS) {
        return MP_OBJ_NEW_SMALL_INT(1);
    }
    if (n_args >= 2 && mp_obj_get_int(args[1]) == 0) {
        switch (command) {
            case MP_VFS_ROM_IOCTL_GET_SEGMENT:
                return mp_obj_new_memoryview('B', ROM_SIZE, ROM);
            case MP_VFS_ROM_IOCTL_WRITE_PREPARE:
                memset(ROM, 0xff, ROM_SIZE);
                return MP_OBJ_NEW_SMALL_INT(4);
            case MP_VFS_ROM_IOCTL_WRITE:
                if (n_args == 4) {
                    size_t offset = mp_obj_get_int(args[2]);
                    mp_buffer_info_t data;
                    mp_get_buffer_raise(args[3], &data, MP_BUFFER_READ);
                    if (offset <= ROM_SIZE && data.len <= ROM_SIZE - offset) {
                        memcpy(ROM + offset, data.buf, data.len);
                        return MP_OBJ_NEW_SMALL_INT(0);
                    }
                }
                break;
            case MP_VFS_ROM_IOCTL_WRITE_COMPLETE:
                return MP_OBJ_NEW_SMALL_INT(0);
        }
    }
    return MP_OBJ_NEW_SMALL_INT(-MP_EINVAL);
}
