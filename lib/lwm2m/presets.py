# Timing of the network, as options of Client: Client(..., **NBIOT)
# SPDX-License-Identifier: MIT
# a local network: RFC 7252 4.8 with a shorter first timeout
LAN = {"ack_timeout": 1000, "max_retransmit": 3, "update_early": 10}

# NB-IoT and LTE-M with extended coverage: round trips of ten seconds, few retransmissions
NBIOT = {
    "ack_timeout": 15000,
    "random_factor": 1500,
    "max_retransmit": 3,
    "update_early": 30,
    "szx": 4,
}
