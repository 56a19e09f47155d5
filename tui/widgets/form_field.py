"""A row of a form: label, control, and below it what there is to say about it."""

from textual.app import ComposeResult
from textual.containers import Grid, Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.text import clean


class FormField(Grid):
    """Labels line up; an error takes the place of the note until it is gone."""

    DEFAULT_CSS = """
    FormField {
        height: auto;
        grid-size: 2;
        grid-columns: 16 1fr;
        grid-rows: auto;

        & > .form-field--label { height: 1; color: $text-muted; }
        & > .form-field--controls { height: auto; }
        & > .form-field--note { display: none; column-span: 2; height: auto; margin-left: 17; color: $text-muted; }
        & > .form-field--note.-said { display: block; }
        & > .form-field--note.-error { color: $text-error; }
        &:focus-within { color: $foreground; }
        &:focus-within > .form-field--label { color: $foreground; }
    }
    """

    def __init__(self, name: str, label: str, *controls: Widget) -> None:
        super().__init__(id=f"field-{name}", name=name)
        self._label = label
        self._controls = controls
        self._note = Content("")
        self._error = ""
        self._said = Static(classes="form-field--note", markup=False)

    def compose(self) -> ComposeResult:
        yield Static(self._label, markup=False, classes="form-field--label")
        if len(self._controls) == 1:
            yield self._controls[0]
        else:
            yield Horizontal(*self._controls, classes="form-field--controls")
        yield self._said

    @property
    def error(self) -> str:
        """What is wrong, as it stands there."""
        return self._error

    def say(self, note: str | Content, error: str = "") -> None:
        """Show a quiet note below the control, or what is wrong instead; "" for nothing."""
        note = note if isinstance(note, Content) else Content(clean(note))
        error = clean(error)
        if (note, error) == (self._note, self._error):
            return
        self._note, self._error = note, error
        said = Content(error) if error else note
        self._said.set_class(bool(said.plain), "-said")
        self._said.set_class(bool(error), "-error")
        self._said.update(said)
