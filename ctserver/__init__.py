"""ctserver: self-hosted call tracking for people who run their own Asterisk."""

__version__ = "0.1.0"
