-- The warehouse of parallel_shard_processor; run as superuser. Names are not quoted.
CREATE SCHEMA IF NOT EXISTS {{namespace}};

-- The key leads with what one load replaces (a day of a shard), so a second copy of a load is an error, never a duplicate.
CREATE TABLE IF NOT EXISTS {{namespace}}.events (
    event_date   date NOT NULL,
    shard_id     smallint NOT NULL,
    event_id     bigint NOT NULL,
    user_id      bigint NOT NULL,
    event_type   text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    amount       numeric(10, 2),
    email_hash   char(64),
    user_country char(2),
    user_plan    text,
    user_since   date,
    PRIMARY KEY (event_date, shard_id, event_id)
);

GRANT USAGE ON SCHEMA {{namespace}} TO loader;
GRANT SELECT, INSERT, DELETE ON {{namespace}}.events TO loader;
