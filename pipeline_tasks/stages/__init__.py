"""One pure module per stage: run(params, inputs) -> outputs, on values."""
