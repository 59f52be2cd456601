#!/bin/bash
# Run once by a container with an empty volume: the role that tasks log in as, and the tables. The same as `furnish` in
# src/airbed/substrates/embedded/postgres.py does.
set -euo pipefail
query=(psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname "$POSTGRES_DB")
"${query[@]}" -v role="$TASK_USER" -v password="$TASK_PASSWORD" <<<'CREATE ROLE :"role" LOGIN PASSWORD :'"'password'"';'
if [ -n "${SCHEMA:-}" ]; then
    sed "s/{{namespace}}/$NAMESPACE/g" "/opt/airbed/postgres/$SCHEMA" | "${query[@]}"
else
    "${query[@]}" -v role="$TASK_USER" -v database="$POSTGRES_DB" <<<'ALTER DATABASE :"database" OWNER TO :"role"; ALTER SCHEMA public OWNER TO :"role";'
fi
