"""The YAML documents as frozen models; loading and lint."""
