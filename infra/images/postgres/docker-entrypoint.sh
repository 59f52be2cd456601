#!/bin/bash
# What the public image's entrypoint does with POSTGRES_USER, _PASSWORD, _DB, _INITDB_ARGS and
# /docker-entrypoint-initdb.d/*.{sh,sql}; nothing more.
set -euo pipefail

if [ "$1" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then
    install -d -o postgres -g postgres -m 0700 /var/lib/postgresql "${PGDATA%/*}" "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_USER:=postgres}" "${POSTGRES_PASSWORD:?}"
    : "${POSTGRES_DB:=$POSTGRES_USER}"
    # A container that was killed in the middle of this starts anew.
    rm -rf "$PGDATA.new"
    # shellcheck disable=SC2086
    initdb --username="$POSTGRES_USER" --pwfile=<(echo "$POSTGRES_PASSWORD") -D "$PGDATA.new" ${POSTGRES_INITDB_ARGS:-}
    echo "host all all all scram-sha-256" >>"$PGDATA.new/pg_hba.conf"
    export PGPASSWORD=$POSTGRES_PASSWORD
    pg_ctl -D "$PGDATA.new" -w -o "-c listen_addresses='' -c fsync=off" start >/dev/null
    query=(psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER")
    if [ "$POSTGRES_DB" != postgres ]; then
        "${query[@]}" --dbname postgres -v database="$POSTGRES_DB" <<<'CREATE DATABASE :"database";'
    fi
    shopt -s nullglob
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
        *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
        *.sql) "${query[@]}" --dbname "$POSTGRES_DB" --file "$file" ;;
        esac
    done
    pg_ctl -D "$PGDATA.new" -m fast -w stop >/dev/null
    unset PGPASSWORD
    rm -rf "$PGDATA"
    mv "$PGDATA.new" "$PGDATA"
fi
exec postgres -c listen_addresses='*' "${@:2}"
