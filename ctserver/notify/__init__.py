"""Edge: text to people, one module for each channel; the registry is here."""
