"""The sockets of all doors, bound before anything starts: what is wrong with any is reported together."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket

import structlog

from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings

log = structlog.get_logger(__name__)

BACKLOG = 1024
# Answers are short; left alone, the kernel keeps four megabytes for each peer that does not read them.
_SEND_BUFFER_BYTES = 128 * 1024
_FILES_BESIDE_CONNECTIONS = 200


class Sockets:
    """By door: http, syslog-udp, syslog-tcp, syslog-tls, forward, and forward-udp for its heartbeats."""

    def __init__(self, settings: CollectorSettings, *, tls: bool) -> None:
        """Bind all that the settings ask for. Raises ConfigurationError with a line for each that cannot be."""
        self._problems: list[str] = []
        self.by_door: dict[str, socket.socket] = {}
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        doors, host = settings.doors, settings.syslog_host
        self._bind("http", tcp, settings.http_host, settings.http_port, "HTTP_PORT")
        if "syslog-udp" in doors:
            self._bind("syslog-udp", udp, host, settings.syslog_udp_port, "SYSLOG_UDP_PORT")
        if "syslog-tcp" in doors:
            own = settings.syslog_tcp_port is not None
            self._bind("syslog-tcp", tcp, host, settings.tcp_port, "SYSLOG_TCP_PORT" if own else "SYSLOG_UDP_PORT")
        if "syslog-tls" in doors and tls:
            self._bind("syslog-tls", tcp, host, settings.syslog_tls_port, "SYSLOG_TLS_PORT")
        if "forward" in doors:
            self._bind("forward", tcp, settings.forward_host, settings.forward_port, "FORWARD_PORT")
            if "forward" in self.by_door:
                port = self.by_door["forward"].getsockname()[1]
                self._bind("forward-udp", udp, settings.forward_host, port, "FORWARD_PORT")
        if self._problems:
            self.close()
            raise ConfigurationError(self._problems)
        if "syslog-udp" in self.by_door:
            _receive_buffer(self.by_door["syslog-udp"], settings.udp_receive_buffer_bytes)

    def addresses(self) -> dict[str, str]:
        """Where each door listens, by its name in a log line."""
        return {
            name.replace("-", "_"): _address(opened) for name, opened in self.by_door.items() if name != "forward-udp"
        }

    def close(self) -> None:
        for opened in self.by_door.values():
            opened.close()

    def _bind(self, door: str, kind: socket.SocketKind, host: str, port: int, setting: str) -> None:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
        opened = socket.socket(family, kind)
        try:
            if kind is socket.SOCK_STREAM:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
            opened.setblocking(False)
            opened.bind(address)
            if kind is socket.SOCK_STREAM:
                opened.listen(BACKLOG)  # another listener shows here, not at bind
        except OSError as error:
            opened.close()
            if error.errno == errno.EADDRINUSE:
                advice = "another program has it: stop that one, or choose another port with this setting"
            elif error.errno == errno.EACCES:
                advice = "ports below 1024 need the right CAP_NET_BIND_SERVICE: choose a higher port with this setting"
            else:
                advice = f"{error.strerror}: choose another address or port"
            self._problems.append(
                f"LOGSYNC_COLLECTOR__{setting}: {host}:{port} ({door}) cannot be opened; {advice}, or leave the door "
                "out of LOGSYNC_COLLECTOR__DOORS"
            )
        else:
            self.by_door[door] = opened


def allow_open_files(connections: int) -> None:
    """Raise the process's limit on open files as far as needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _FILES_BESIDE_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        given = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (given, hard))
        if given < wanted:
            log.warning("fewer open files are allowed than collector.max_connections needs", allowed=given)


def _receive_buffer(udp: socket.socket, wanted: int) -> None:
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    got = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux reports twice what it gives
    if got < wanted and hasattr(socket, "SO_RCVBUFFORCE"):
        with contextlib.suppress(PermissionError):  # it needs CAP_NET_ADMIN
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE, wanted)
        got = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if got < wanted:
        log.warning("UDP receive buffer is smaller than asked for: raise net.core.rmem_max", bytes=got, asked=wanted)


def _address(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
