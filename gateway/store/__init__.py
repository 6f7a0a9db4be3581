"""What is remembered: the database (the one place that knows the engine), migrations, ids, and questions for lists."""
