"""The pages of the people who log in."""
