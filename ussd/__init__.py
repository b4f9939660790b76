"""The USSD edge: the aggregator's dialect, the session engine, and every screen."""
