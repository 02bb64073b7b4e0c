"""Notifications: Slack and webhooks."""
