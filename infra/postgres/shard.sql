-- One shard of the users' database. {{namespace}} is the shard's range of users (topology.SHARDS); run as superuser.
-- Names are not quoted, so Postgres keeps them in lower case and DAGs may write users_0_to_1M.
CREATE SCHEMA IF NOT EXISTS {{namespace}};

CREATE TABLE IF NOT EXISTS {{namespace}}.users (
    user_id    bigint PRIMARY KEY,
    name       text NOT NULL,
    email      text NOT NULL,
    phone      text NOT NULL,
    country    char(2) NOT NULL,
    plan       text NOT NULL,
    signed_up  date NOT NULL
);

-- One partition a day, user_events_YYYYMMDD, made by whoever writes the day: a day without one was never written.
-- No foreign key to users: an account can be deleted before its last events are loaded.
CREATE TABLE IF NOT EXISTS {{namespace}}.user_events (
    event_date  date NOT NULL,
    event_id    bigint NOT NULL,
    user_id     bigint NOT NULL,
    event_type  text NOT NULL,
    occurred_at timestamptz NOT NULL,
    amount      numeric(10, 2),
    email       text,
    phone       text,
    PRIMARY KEY (event_date, event_id)
) PARTITION BY RANGE (event_date);

-- Readers read, and nothing else. A partition is read through its parent and needs no grant of its own.
GRANT USAGE ON SCHEMA {{namespace}} TO etl;
GRANT SELECT ON {{namespace}}.users, {{namespace}}.user_events TO etl;
