"""LineInput: an input in which several keys that arrive at once do what they would do one after the other."""

from textual import events
from textual.widgets import Input


class LineInput(Input):
    """A slow line delivers keys in bursts. Textual hands all of them to what has the focus when they arrive, and has
    keys with a binding wait behind the characters that were typed after them. Here edits happen in the order of the
    keys, and those typed after Tab go on to where the focus went.
    """

    async def _on_key(self, event: events.Key) -> None:  # Input's own is called after it
        focused = self.app.focused
        if focused is not None and focused is not self:
            focused.post_message(events.Key(event.key, event.character))
            event.stop()
            event.prevent_default()
            return
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if not binding.priority and await self.app.run_action(binding.action, self):
                event.stop()
                return
