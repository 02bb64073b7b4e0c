#!/bin/sh
# Secrets for docker-compose.yml, made on this machine and kept out of Git; what is there already stays.
set -eu
umask 077
folder=$(dirname "$0")/.secrets
mkdir -p "$folder"

password=$(openssl rand -hex 24)
[ -e "$folder/postgres-password" ] || printf %s "$password" >"$folder/postgres-password"
password=$(cat "$folder/postgres-password")
[ -e "$folder/temporal.env" ] || printf 'POSTGRES_PWD=%s\nSQL_PASSWORD=%s\n' "$password" "$password" >"$folder/temporal.env"
token=$(openssl rand -hex 24)
[ -e "$folder/vault.env" ] || printf 'VAULT_DEV_ROOT_TOKEN_ID=%s\nVAULT_TOKEN=%s\n' "$token" "$token" >"$folder/vault.env"
[ -e "$folder/codec-token" ] || openssl rand -hex 32 >"$folder/codec-token"
[ -e "$folder/codec-keys.json" ] || printf '{"current":"k1","k1":"%s"}\n' "$(openssl rand -base64 32)" >"$folder/codec-keys.json"
# A container's user reads them; on this machine nobody comes through the folder.
chmod 0444 "$folder"/*
