"""The ControlNet generator: training, sampling, attention enhancement, feature fusion."""
