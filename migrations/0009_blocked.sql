-- Callers whom people keep out, besides those of the settings. number: E.164, or its beginning with * behind it, or whatever the
-- trunk calls somebody without a number of his own.
CREATE TABLE blocked_callers (
    number TEXT   PRIMARY KEY,
    why    TEXT   NOT NULL,
    login  TEXT   NOT NULL,
    at     BIGINT NOT NULL
);

-- What agi-scripts/ct_route.py does with callers who are kept out, while ctserver cannot answer: by the digits that a trunk sends, a
-- beginning with * behind it; no digits: callers without a number.
CREATE TABLE refusals (
    digits TEXT PRIMARY KEY,
    way    TEXT NOT NULL
);
