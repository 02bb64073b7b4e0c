#!/bin/sh
# The two databases of Temporal, made or brought up to the schema of this version of its tools
# (https://github.com/temporalio/samples-server, folder compose).
set -eu
for database in temporal visibility; do
  name=temporal
  [ "$database" = temporal ] || name=temporal_visibility
  tool="temporal-sql-tool --plugin postgres12 --endpoint $POSTGRES_SEEDS --user $POSTGRES_USER --port $DB_PORT --database $name"
  # Already there: the last one says what is wrong, if anything is. The set-up makes the tables of versions alone: with
  # a schema it would make all tables as version 0.0, and the update would stop at the first that is there.
  $tool create-database || true
  $tool setup-schema --version 0.0 || true
  $tool update-schema --schema-name "postgresql/v12/$database"
done
