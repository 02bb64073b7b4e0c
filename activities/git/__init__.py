"""Git: the commit that named a bad version is reverted."""
