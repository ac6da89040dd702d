-- Tags, notes, categories and what reports ask for.

-- How a person wants it written. language: en | ru; zone: an IANA name; empty: as the browser and the server have it.
-- phones: international | national.
CREATE TABLE preferences (
    login    TEXT PRIMARY KEY,
    language TEXT NOT NULL,
    zone     TEXT NOT NULL,
    phones   TEXT NOT NULL
);
