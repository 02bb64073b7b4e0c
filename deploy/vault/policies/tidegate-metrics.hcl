# Questions to Datadog. A team whose AnalysisTemplate names a Secret of its own namespace adds that path by name.
path "secret/data/argo-rollouts/datadog" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
