"""The documents for people who change the code name what there is."""
