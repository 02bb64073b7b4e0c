"""What N releases cost a Kubernetes cluster, and what Argo's controller takes for the same."""
