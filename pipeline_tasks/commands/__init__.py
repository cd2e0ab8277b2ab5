"""Command lines of the stages: each module loads, runs and saves one of them."""
