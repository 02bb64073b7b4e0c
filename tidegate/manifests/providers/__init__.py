"""Settings under the key of a metric provider in a template, one module for each provider."""
