"""The rules, pure: no clock, no await, no logging, no input or output. Time and randomness come in as arguments."""
