"""One pass over a Rollout: the cluster is compared with what the release wants, and changed where it differs."""
