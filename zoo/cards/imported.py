"""The cards of networks that come from other programs' files; `zoo list` shows none of them."""

from zoo.cards.card import Architecture

IMPORTED: tuple[Architecture, ...] = (
    Architecture(
        name="keras-sequential",
        builder="zoo.architectures.sequential:Sequential",
        family="keras",
        year=2015,
        title="what `zoo import keras` makes of a Keras model: its layers, in a row",
        paper="none, Keras's models.Sequential",
        input_shape=(1, 28, 28),
        smallest_px=1,
        num_classes=10,
        params=None,
        total_params=None,
        mult_adds=None,
        departures=(
            "logits: the softmax is in the loss and in what `predict` says",
            "running variance is PyTorch's unbiased one, n/(n-1) of Keras's, in further training",
        ),
        is_imported=True,
    ),
)
