"""Notifications to people: Slack and webhooks."""
