"""
The call catalogue: what each AWS call does, by service and operation.

Two sources are merged in `catalogue`. `operations.tsv` has a line for each operation of AWS's service models, which
`just aws-calls` writes (`tools/aws_calls.py`). The other modules here hold what people reviewed, each row with the page
of AWS's documentation that says so: those rows win.
"""
