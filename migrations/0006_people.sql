-- Roles, second factors, invitations, tokens and the audit log.

-- role: owner | manager | operator | analyst | client (domain/rights.py). sites and lines: names with spaces between them,
-- "" for all that the role may see. Who was here before there were roles could do everything.
ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'owner';
ALTER TABLE users ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN sites TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN lines TEXT NOT NULL DEFAULT '';
-- The second factor: its secret ("" without one), and the last 30-second step whose code was used: none is taken twice.
ALTER TABLE users ADD COLUMN totp_secret TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
-- Who he is to an OpenID Connect provider.
ALTER TABLE users ADD COLUMN subject TEXT NOT NULL DEFAULT '';

-- A login in a browser; those from before know neither when nor where they began, so they end. id names it on pages,
-- where the token must not stand; waiting: 1 until the second factor is given.
DELETE FROM logins;
ALTER TABLE logins ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE logins ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE logins ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE logins ADD COLUMN waiting BIGINT NOT NULL DEFAULT 0;
CREATE INDEX logins_login ON logins (login);

-- For the day the telephone with the second factor is lost: each is good once.
CREATE TABLE recovery_codes (
    login     TEXT NOT NULL REFERENCES users (login),
    code_hash TEXT NOT NULL,
    PRIMARY KEY (login, code_hash)
);

-- A link that lets somebody choose a login (login is "", an invitation) or a new password (login is his).
CREATE TABLE links (
    token_hash TEXT   PRIMARY KEY,
    id         TEXT   NOT NULL UNIQUE,
    login      TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    sites      TEXT   NOT NULL,
    lines      TEXT   NOT NULL,
    made_by    TEXT   NOT NULL,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Keys to the API. scopes: rights with spaces between them; a token never may more than its user.
CREATE TABLE tokens (
    id         TEXT   PRIMARY KEY,
    token_hash TEXT   NOT NULL UNIQUE,
    login      TEXT   NOT NULL REFERENCES users (login),
    name       TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX tokens_login ON tokens (login);

-- Who did what, when, to what, from where. Rows are only added, and forgotten after their time. via: page | api | command.
CREATE TABLE audit (
    id      TEXT   PRIMARY KEY,
    at      BIGINT NOT NULL,
    login   TEXT   NOT NULL,
    via     TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    address TEXT   NOT NULL
);
CREATE INDEX audit_login ON audit (login, id);
CREATE INDEX audit_action ON audit (action, id);

-- Grows with every change of a call, each value given once and in the order of the commits: the cursor of those who fetch
-- what has changed since they last asked.
ALTER TABLE calls ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE calls SET updated_at = COALESCE(ended_at, arrived_at);
CREATE INDEX calls_updated ON calls (updated_at, id);
