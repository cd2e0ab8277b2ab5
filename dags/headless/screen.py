"""What a person sees while waiting: lines that stay, and on a terminal one live line below them."""

import shutil
import sys
import time
from contextlib import suppress


class Screen:
    """Standard output, with the time since the start before each line."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._is_terminal = sys.stdout.isatty()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        self.live("")
        self._write(f"{minutes:3d}:{seconds:02d}  {text}\n")

    def live(self, text: str) -> bool:
        """Replace the live line; return False where there is no terminal to show it on."""
        if self._is_terminal:
            self._write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
        return self._is_terminal

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone; what was started must still be stopped
            sys.stdout.write(text)
            sys.stdout.flush()
