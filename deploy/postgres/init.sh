#!/bin/sh
# Runs once, when the database is made: the shop's own role, which is no superuser but may put a restored
# database in the place of its own, and the database into which a backup is restored as a test.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$GETPRO_DB_PASSWORD" --username postgres --dbname 2getpro_v2 <<'SQL'
CREATE ROLE getpro LOGIN REPLICATION CREATEDB PASSWORD :'password';
GRANT pg_monitor TO getpro;
ALTER DATABASE "2getpro_v2" OWNER TO getpro;
ALTER SCHEMA public OWNER TO getpro;
CREATE DATABASE test_db OWNER getpro;
SQL
# Base backups and the log come by a connection of another kind, which "all" does not mean.
echo "host replication getpro all scram-sha-256" >> "$PGDATA/pg_hba.conf"
