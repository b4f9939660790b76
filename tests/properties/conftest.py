"""The eighteen properties of payments; those on the wire have Daraja's place taken."""

from tests.edges.conftest import client, server

__all__ = ["client", "server"]
