"""The outside world, pretended: simulated Daraja, simulated aggregator, handsets."""
