"""The M-PESA edge: the Daraja client, and the doors Safaricom calls back on."""
