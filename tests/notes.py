"""A reporter of progress that tests look into."""

from collections.abc import Callable


class Notes:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, description: str, total: int | None) -> Callable[[int, str], None]:
        return lambda done, note: None

    def finish(self, description: str, ended: str = "") -> None:
        pass

    def note(self, text: str) -> None:
        self.said.append(text)
