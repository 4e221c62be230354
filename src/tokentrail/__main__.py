"""`python -m tokentrail`: the command line where no script is on the path, as on a locked-down machine."""

from tokentrail.cli.root import main

if __name__ == "__main__":
    main()
