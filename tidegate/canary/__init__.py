"""Steps, weights, replica arithmetic and the pod-template hash: pure rules."""
