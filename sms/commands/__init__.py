"""What is done about each meaning of a text, by noun."""
