# What listeners hear of: the numbers of events, the first fourteen as Zephyr's client has them
# SPDX-License-Identifier: MIT

BOOTSTRAP_REG_FAILURE = const(1)  # refused, too late, or of no use
BOOTSTRAP_REG_COMPLETE = const(2)  # the request is accepted
BOOTSTRAP_TRANSFER_COMPLETE = const(3)
REGISTRATION_FAILURE = const(4)  # refused, or no channel
REGISTRATION_COMPLETE = const(5)
REG_TIMEOUT = const(6)  # no answer to a registration or an update
REG_UPDATE_COMPLETE = const(7)
DEREGISTER_FAILURE = const(8)
DISCONNECT = const(9)  # de-registered, or stopped
QUEUE_MODE_RX_OFF = const(10)
ENGINE_SUSPENDED = const(11)
SERVER_DISABLED = const(12)
NETWORK_ERROR = const(13)  # a sequence of attempts is over
REG_UPDATE = const(14)  # goes out
DEREGISTER = const(15)  # goes out
CONNECT = const(16)  # the channel is open
CONNECT_FAILURE = const(17)
SECURE = const(18)  # the DTLS handshake is done
SECURE_FAILURE = const(19)
BOOTSTRAP = const(20)  # begins
REGISTRATION = const(21)  # goes out
CLIENT_ERROR = const(22)  # an exception in poll() was printed; what it interrupted is tried again
FIRMWARE_STATE = const(23)  # 5/x/3 or 5/x/5 has changed
FIRMWARE_PROGRESS = const(
    24
)  # a percent more of a package is there, or 4 KB where its length is not known
FIRMWARE_UPDATE = const(25)  # a server has executed 5/x/2, and the application is to decide

NAMES = (
    "NONE BOOTSTRAP_REG_FAILURE BOOTSTRAP_REG_COMPLETE BOOTSTRAP_TRANSFER_COMPLETE REGISTRATION_FAILURE "
    "REGISTRATION_COMPLETE REG_TIMEOUT REG_UPDATE_COMPLETE DEREGISTER_FAILURE DISCONNECT QUEUE_MODE_RX_OFF "
    "ENGINE_SUSPENDED SERVER_DISABLED NETWORK_ERROR REG_UPDATE DEREGISTER CONNECT CONNECT_FAILURE SECURE "
    "SECURE_FAILURE BOOTSTRAP REGISTRATION CLIENT_ERROR "
    "FIRMWARE_STATE FIRMWARE_PROGRESS FIRMWARE_UPDATE"
)
