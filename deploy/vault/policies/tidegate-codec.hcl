# The keys that encrypt what Temporal stores: for every process, where that is on, and for the codec server.
path "secret/data/tidegate/codec" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
