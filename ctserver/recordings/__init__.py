"""Edge: what becomes of a recording once it is whole: made small, proved, put away, played, and one day removed."""
