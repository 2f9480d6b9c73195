import sys

from proofs_checks.audit import main

sys.exit(main(sys.argv[1:]))
