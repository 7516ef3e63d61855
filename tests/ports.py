"""Ports of 127.0.0.1 for servers, a block of them for each process that asks: test processes side by side never meet.

They lie below those that the kernel gives to sockets that ask for any, so a server that is started again finds its port still free.
"""

import itertools
import random
import socket
from collections.abc import Iterator
from functools import cache

FIRST, LAST, BLOCK = 10_000, 20_000, 250


@cache
def _block() -> tuple[socket.socket, Iterator[int]]:
    """The socket that holds a block, and the block's other ports, again and again: whoever has its first port has all of it."""
    starts = list(range(FIRST, LAST, BLOCK))
    random.shuffle(starts)
    for start in starts:
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", start))
        except OSError:
            holder.close()
            continue
        return holder, itertools.cycle(range(start + 2, start + BLOCK, 2))
    raise RuntimeError(f"no {BLOCK} ports together are free between {FIRST} and {LAST}")


def free_port() -> int:
    """A port that is free for UDP and TCP, and so is the one after it."""
    return next(port for port in itertools.islice(_block()[1], BLOCK) if _is_free(port) and _is_free(port + 1))


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
