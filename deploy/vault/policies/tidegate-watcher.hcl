# The key that CrowdStrike Falcon signs its detections with.
path "secret/data/tidegate/falcon" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
