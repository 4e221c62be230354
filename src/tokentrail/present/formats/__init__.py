"""Results for other programs and places: JSON lines, CSV, Markdown, graphs, SIEM formats, indicators, Terraform."""
