"""The only place with SQL, written whole beside its row mapping, in the subset that SQLite and PostgreSQL share."""
