"""The simulated world, and the house of cardboard that it calls."""

from tests.simulator.conftest import balanced, base, cardboard, house, merchant, network, phone

__all__ = ["balanced", "base", "cardboard", "house", "merchant", "network", "phone"]
