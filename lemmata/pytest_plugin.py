"""pytest's side of `lemmata.assert_holds`: a summary of what was checked, and ``--lemmata-report DIR``."""
