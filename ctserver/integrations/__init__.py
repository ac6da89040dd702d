"""Edge: facts to other programs (web hooks, CRMs, analytics), one module each; the registry is here."""
