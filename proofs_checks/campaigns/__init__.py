"""Campaigns: many cases of statements and conjectures, on any executor, written so that nothing is lost or doubled."""
