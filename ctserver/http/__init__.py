"""The edge to the web: what visitors' pages call, and the dashboard."""
