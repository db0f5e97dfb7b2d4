"""The roof: settings, wiring, the application, pages, command line, migrations."""
