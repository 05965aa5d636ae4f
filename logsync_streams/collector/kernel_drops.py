"""Datagrams that the kernel dropped because the socket's buffer was full: /proc/net/udp says how many, by inode."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from logsync_streams import metrics

_TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
# Fields of a line: … inode is the tenth, drops the last (Documentation/networking/proc_net_tcp, net/ipv4/udp.c).
_INODE, _DROPS = 9, -1


class KernelDrops:
    """Counts the drops of one socket into `logsync_udp_kernel_drops_total`, each once, whenever `read` is called."""

    def __init__(self, sock: socket.socket, source: str) -> None:
        self._inode = str(os.fstat(sock.fileno()).st_ino)
        self._counted = 0
        self._counter = metrics.udp_kernel_drops.labels(source)

    def read(self) -> int:
        """The socket's drops so far; as counted before when the kernel does not say."""
        found = drops(self._inode, _TABLES)
        if found is not None and found > self._counted:
            self._counter.inc(found - self._counted)
            self._counted = found
        return self._counted


def drops(inode: str, tables: tuple[Path, ...]) -> int | None:
    """The drops of the socket with this inode, None when no table has it."""
    for table in tables:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue  # no IPv6, or no Linux
        for line in lines:
            fields = line.split()
            if len(fields) > _INODE and fields[_INODE] == inode:
                return int(fields[_DROPS])
    return None
