-- Browsers in which somebody has switched on notifications: the address at the browser's push service, and its keys.
CREATE TABLE push_subscriptions (
    endpoint   TEXT   PRIMARY KEY,
    login      TEXT   NOT NULL,
    p256dh     TEXT   NOT NULL,
    auth       TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX push_subscriptions_login ON push_subscriptions (login);
