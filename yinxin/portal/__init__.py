"""The pages a person sees: login, setup, their own page, errors. No script anywhere."""
