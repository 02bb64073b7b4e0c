"""The wire: every name and payload that crosses a process boundary, pinned in one committed file."""
