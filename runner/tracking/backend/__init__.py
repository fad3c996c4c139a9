"""The private doors of MLflow, its database, artifacts and processes."""
