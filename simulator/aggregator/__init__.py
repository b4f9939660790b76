"""The simulated aggregator: USSD sessions, texts both ways, delivery reports."""
