"""The watcher: Rollout objects and detections in, requests to releases out."""
