"""What the images of stages expect of a pod, whoever starts it (containers/Dockerfile)."""

USER = 10001
"""User and group that they run as."""
WORKPLACE = "/work"
"""Where they work: clone, data, home; it lies on a volume of the pod's own, of the size that a stage's meta says."""
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - no temporary file
"""What GPUs of a pod exchange lies there; a container has 64 MiB of it, which is too little."""
