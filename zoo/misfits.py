"""What a file's weights do not bring along, and why they may not fit; in words."""

import shlex
from dataclasses import dataclass

from zoo import modelfile
from zoo.description import Description


@dataclass(frozen=True)
class Made:
    """The network that some weights were made by."""

    name: str
    """Of the weights, for messages."""
    description: Description
    is_model: bool
    """Whether they are a model file, with which commands can go on."""

    @property
    def _train(self) -> str:
        """The command that trains that very network."""
        if self.is_model:
            return f"zoo train {shlex.quote(self.name)}"
        return "zoo train of the model that they were exported from"

    def left_behind(self) -> tuple[str, ...]:
        """Notes on what training would mind, and what weights alone do not bring."""
        notes = []
        if _has_frozen(self.description):
            notes.append(
                f"{self.name} has frozen layers, but its weights alone do not bring that: "
                f"{self._train} keeps them frozen"
            )
        if self.description.sparse_tensors:
            notes.append(
                f"{self.name} has weights pruned to zero, but its weights alone do not keep them "
                f"so in training: {self._train} does"
            )
        return tuple(notes)

    def why_not(self, wanted: Description) -> str | None:
        """Why the weights may not fit a network, and what to do with them; None if nobody knows.

        Args:
            wanted: of the network that they do not fit.
        """
        made = self.description
        if made.architecture != wanted.architecture:
            return f"The weights are those of {made.architecture}."
        theirs, ours = made.structure, wanted.structure
        if theirs != ours:
            if made.is_headless and not wanted.is_headless:
                return f"The top of {self.name} was taken off: {self._train} puts a new head on it."
            if theirs:
                return (
                    f"{self.name} is a {made.architecture} with changes ({_words(made)}), and its "
                    f"weights fit no other: {self._train} goes on with it."
                )
            return self._how_to_change(wanted)
        if made.arguments.layers != wanted.arguments.layers:
            return "The weights are those of another imported network."
        if made.arguments.input_size != wanted.arguments.input_size:
            height, width = made.arguments.input_size
            return f"The weights were made by a network for pictures of {height}×{width}."
        if made.num_classes != wanted.num_classes:
            return (
                f"The weights tell {made.num_classes} classes apart, the network "
                f"{wanted.num_classes}: an architecture takes --num-classes {made.num_classes}."
            )
        return None

    def _how_to_change(self, wanted: Description) -> str:
        said = (
            f"The weights are those of a {wanted.architecture} without the changes of this one "
            f"({_words(wanted)})"
        )
        settings = [edit for edit in modelfile.edits_of(wanted) if edit.edit == "set"]
        if len(settings) < len(wanted.structure) or not self.is_model:
            return f"{said}."
        flags = " ".join(f"--set {shlex.quote(str(edit))}" for edit in settings)
        return (
            f"{said}: zoo build {shlex.quote(self.name)} {flags} -o FILE keeps those of all layers "
            "that stay as they are."
        )


def _has_frozen(description: Description) -> bool:
    """Whether layers are frozen after all of its edits."""
    frozen: set[str] = set()
    for edit in description.edits:
        if edit["edit"] == "freeze":
            layers = set(edit["layers"])
            frozen = frozen | layers if edit["frozen"] else frozen - layers
    return bool(frozen)


def _words(description: Description) -> str:
    """The first few changes of a network's structure."""
    structure = description.model_copy(update={"edits": description.structure})
    words = [str(edit) for edit in modelfile.edits_of(structure)]
    return ", ".join([*words[:3], *(["..."] if len(words) > 3 else [])])
