"""Simulated Daraja: M-PESA's API with its own books and asynchronous answers."""
