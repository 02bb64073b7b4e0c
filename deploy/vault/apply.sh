#!/bin/sh
# Policies, the Kubernetes auth method with roles for each process, what signs their tokens for Temporal, and an AppRole for
# a worker outside Kubernetes.
# Needs an administrator's VAULT_ADDR and VAULT_TOKEN; running it again changes nothing.
#
#   VAULT               the command: vault (default), or bao
#   KUBERNETES_HOST     API server that reviews the pods' tokens; https://kubernetes.default.svc by default
#   KUBERNETES_CA_FILE  its CA certificates, where Vault stands outside the cluster
#   OUTSIDE_CIDR        from where the AppRole may be used; 10.30.0.0/24 by default
set -eu
cd "$(dirname "$0")"
vault=${VAULT:-vault}

mounted() { # what, path
  if ! "$vault" "$1" list -format=json | grep -q "\"$2/\""; then
    "$vault" "$1" enable -path="$2" "$3" ${4:+"$4"}
  fi
}

mounted secrets secret kv -version=2
mounted auth kubernetes kubernetes
mounted auth approle approle

for file in policies/*.hcl; do
  "$vault" policy write "$(basename "$file" .hcl)" "$file"
done

set -- kubernetes_host="${KUBERNETES_HOST:-https://kubernetes.default.svc}"
if [ -n "${KUBERNETES_CA_FILE:-}" ]; then
  # Outside the cluster there is no token of Vault's own: a pod's token asks for its own review.
  set -- "$@" kubernetes_ca_cert=@"$KUBERNETES_CA_FILE" disable_local_ca_jwt=true
fi
"$vault" write auth/kubernetes/config "$@"
for file in kubernetes-roles/*.json; do
  "$vault" write "auth/kubernetes/role/$(basename "$file" .json)" @"$file"
done

# Temporal takes what this key signs for what it says (values.yaml, keySourceURIs): nobody else may have a role with it.
"$vault" write identity/oidc/key/temporal algorithm=RS256 rotation_period=24h verification_ttl=24h allowed_client_ids=temporal
for file in temporal-tokens/*.json; do
  "$vault" write "identity/oidc/role/$(basename "$file" .json)" @"$file"
done

# One worker for everything, such as that of docker-compose.yml: its secret id lives a day and comes from one network.
cidr=${OUTSIDE_CIDR:-10.30.0.0/24}
"$vault" write auth/approle/role/tidegate-outside \
  token_policies=tidegate-metrics,tidegate-follow-up,tidegate-watcher token_no_default_policy=true \
  token_ttl=1h token_max_ttl=24h secret_id_ttl=24h \
  secret_id_bound_cidrs="$cidr" token_bound_cidrs="$cidr"
