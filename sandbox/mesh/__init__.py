"""The service mesh of the embedded world: Envoy does what Services and the objects of routers say."""
