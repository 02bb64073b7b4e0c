"""Istio: VirtualServices whose weights are set, and DestinationRules whose subsets are labelled."""
