"""The example workspace: Larkfield, a fictional vendor's support desk with 24 months of documents."""
