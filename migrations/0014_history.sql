-- Whom a caller was taken for earlier is asked with every call: of somebody who rings all day, only the calls that tell it are read.

CREATE INDEX calls_known ON calls (caller, site, arrived_at) WHERE session <> '';
