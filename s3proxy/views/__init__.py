"""What the control API and the commands tell of the catalog, in one wording for both."""
