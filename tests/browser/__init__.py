"""The Temporal UI as a person reads it, in a headless Chromium."""
