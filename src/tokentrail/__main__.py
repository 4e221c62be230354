"""`python -m tokentrail`: the command line where no script is on the path, as on a locked-down machine."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current folder, which may hold evidence: no module is looked for there
    from tokentrail.cli.root import main

    main()
