"""DVC: the stage graph, the lock, publication."""
