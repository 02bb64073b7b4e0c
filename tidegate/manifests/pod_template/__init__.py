"""What Kubernetes knows of a pod template: its fields in their order, its quantities, and what is wrong with one."""
