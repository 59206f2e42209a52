"""What a server serves, where, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""Names of this machine in the header ``Host``, where the server listens to nobody else."""


@dataclass(frozen=True)
class ServerSettings:
    """Limits and rights of a server.

    Parameters
    ----------
    host : str
        The address that it listens to.
    token : str, optional
        What clients must send as ``Authorization: Bearer …``.
    waiting : int
        Requests that may wait for their turn; more are refused with 429.
    seconds : float
        Time limit of what is computed for a request.
    body_bytes : int
        Of a request.
    body_seconds : float
        In which the body of a request must have come.
    """

    host: str = "127.0.0.1"
    token: str | None = None
    waiting: int = 64
    seconds: float = 60.0
    body_bytes: int = 1 << 20
    body_seconds: float = 10.0

    @property
    def local(self) -> bool:
        """Whether nobody but this machine can reach it."""
        if self.host in LOOPBACK:
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
