#!/bin/sh
# Policies and the AppRole of the worker in the development Vault, and the two files that the worker logs in with.
set -eu
/deploy/vault/apply.sh
for field in role_id secret_id; do
  path=auth/approle/role/tidegate-outside/$(printf %s "$field" | tr _ -)
  if [ "$field" = role_id ]; then
    vault read -field="$field" "$path" >/approle/role-id
  else
    vault write -f -field="$field" "$path" >/approle/secret-id
  fi
done
chown 10001:10001 /approle/role-id /approle/secret-id
chmod 0400 /approle/role-id /approle/secret-id
