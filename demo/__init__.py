"""The embedded engines and the demo: everything one machine needs to run the house alone."""
