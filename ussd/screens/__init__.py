"""Every screen a caller can meet, by noun; `entry` is the first."""
