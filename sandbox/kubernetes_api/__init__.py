"""An embedded Kubernetes API server: what kubectl and the official clients need, in one process, without a cluster."""
