# Its own token for Temporal (deploy/temporal/access.md), which Vault signs at each reading.
path "identity/oidc/token/tidegate-web-temporal" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
