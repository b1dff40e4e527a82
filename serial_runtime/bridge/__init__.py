# SPDX-License-Identifier: MIT
"""The bridge: owns a serial port on the host and offers its board to any number of TCP clients.

An unmodified IDE has a stock eRPC client: no timeout, no repetition, one connection, and it calls
from the thread of its windows. So the bridge answers what an IDE polls from its own memory, and
everything else over a line on which nothing is lost:

    IDE ──┐ service 1                             ┌ mirror   status, log      ┐
    IDE ──┼───────────▶ server ─▶ seat, ─▶ remote ┼ traces   one stream       ┼▶ shared ─▶ UART
    ours ─┘ 1 and 2               one per   PLC   ├ forces   one book         │  client
             (TCP)                connection      └ uploads  on this disk     ┘

`server` is the board's own (``rpc.server``), so bad input, refusals, sessions and limits are what
they are on a board; in place of the PLC object stands a `seat` of the remote PLC.

*Threads.* One for each connection; `mirror` polls status and log; `stream` feeds the traces; the
main thread waits for signals. All share one client (see `shared_client`).
"""
