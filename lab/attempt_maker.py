"""Program: tries to reach an address, and says what became of it. Standard library only, so that it starts fast.

    attempt_maker.py tcp|udp ADDRESS PORT PATIENCE_S

One line of JSON: {"answer": ..., "after_s": ...}; answer: "connected", "datagram", the name of an error as in
"ECONNREFUSED", or "nothing" when none came in time.
"""

from __future__ import annotations

import errno
import json
import socket
import sys
import time


def tried(protocol: str, address: str, port: int, patience_s: float) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as trying:
        trying.settimeout(patience_s)
        try:
            trying.connect((address, port))
            if protocol == "tcp":
                return "connected"
            trying.send(b"?")
            trying.recv(2048)
        except TimeoutError:
            return "nothing"
        except OSError as fault:
            return errno.errorcode[fault.errno or 0]
        return "datagram"


def main() -> None:
    protocol, address, port, patience_s = sys.argv[1:]
    begun_s = time.monotonic()
    answer = tried(protocol, address, int(port), float(patience_s))
    print(json.dumps({"answer": answer, "after_s": time.monotonic() - begun_s}))


if __name__ == "__main__":
    main()
