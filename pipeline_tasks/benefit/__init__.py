"""Does the synthetic data help: what to train with, and whether a data set becomes the champion."""
