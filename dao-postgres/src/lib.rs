//! PostgreSQL data source for FastSync.
