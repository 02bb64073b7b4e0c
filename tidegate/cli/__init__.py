"""The commands and their drawing."""
