# Questions to Datadog. A team whose AnalysisTemplate names a Secret of its own namespace adds that path by name, such as
# secret/data/namespaces/payments/tenant: users' Secrets stand under `namespaces`, and nothing of Tidegate's own does.
path "secret/data/argo-rollouts/datadog" { capabilities = ["read"] }

# Its own lease, and nothing of anybody else.
path "auth/token/renew-self" { capabilities = ["update"] }
