"""Tidegate: releases that reach 100 % of traffic only on evidence."""
