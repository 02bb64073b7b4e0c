# Incidents and changes, reverts, messages.
path "secret/data/tidegate/servicenow" { capabilities = ["read"] }
path "secret/data/tidegate/git" { capabilities = ["read"] }
path "secret/data/tidegate/slack" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
