"""The staff edge: commands, and the pages beside them."""
