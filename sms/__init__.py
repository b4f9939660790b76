"""The SMS edge: inbound texts, their grammar, delivery reports, and the gateway that sends."""
