"""The pages of docs/recipes, run as they stand."""
