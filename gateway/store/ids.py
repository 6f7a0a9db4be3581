"""Public ids: a prefix and a UUIDv7 (RFC 9562 §5.7), so that they sort by time and tell what they name.

Never row numbers: SQLite hands the id of a deleted last row out again.
"""

import os
import threading
import time

_lock = threading.Lock()
_last = 0
_pool = b""
_pool_pid = 0


def new(prefix: str) -> str:
    """A fresh id such as `msg_0199f6…` (32 hex digits); within a process each sorts after the one before.

    48 bits of Unix milliseconds, a 12-bit counter in rand_a (RFC 9562 §6.2 method 1), 62 random bits.
    """
    global _last, _pool, _pool_pid
    stamp = time.time_ns() // 1_000_000 << 12
    with _lock:
        _last = stamp = max(stamp, _last + 1)
        if len(_pool) < 8 or _pool_pid != os.getpid():  # one system call for 512 ids; never shared over a fork
            _pool, _pool_pid = os.urandom(4096), os.getpid()
        chance, _pool = _pool[:8], _pool[8:]
    return made(prefix, stamp >> 12, stamp, int.from_bytes(chance) >> 2)


def made(prefix: str, milliseconds: int, number: int, chance: int) -> str:
    """The id of another moment: `number` (its low 12 bits) tells ids of one millisecond apart, `chance` has 62 bits."""
    value = milliseconds << 80 | 0x7 << 76 | (number & 0xFFF) << 64 | 0b10 << 62 | chance
    return f"{prefix}_{value:032x}"
