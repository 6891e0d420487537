"""Program: tells with which code points (DSCP) datagrams arrive. Standard library only, so that it starts fast.

    mark_reader.py ADDRESS PORT

Says "ready" once it listens, and then a line for each datagram: its DSCP. Ends with standard input.
"""

from __future__ import annotations

import select
import socket
import sys

_IPV6_RECVTCLASS, _IPV6_TCLASS = 66, 67


def main() -> None:
    address, port = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVTCLASS, 1)
        else:
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        listening.bind((address, int(port)))
        print("ready", flush=True)
        while sys.stdin not in select.select([sys.stdin, listening], [], [])[0]:
            for _, kind, data in listening.recvmsg(2048, 64)[1]:
                if kind in (socket.IP_TOS, _IPV6_TCLASS):
                    print(int.from_bytes(data[:4], sys.byteorder) >> 2, flush=True)


if __name__ == "__main__":
    main()
