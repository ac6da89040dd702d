"""Real calls through a real Asterisk, each a story; record.py writes what the AMI said of them to tests/asterisk/streams."""
