"""The service mesh of the embedded world: Envoy does what Services, VirtualServices and DestinationRules say."""
