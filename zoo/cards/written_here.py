"""The cards of networks that zoo writes out itself."""

from typing import Any

from zoo.cards.card import Architecture

LECUN_1998 = "LeCun et al. 1998, Gradient-based learning applied to document recognition"
KRIZHEVSKY_2012 = (
    "Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks"
)
SZEGEDY_2014 = "Szegedy et al. 2014, Going deeper with convolutions"
HE_2015 = "He et al. 2015, Deep residual learning for image recognition"

ALEXNET: dict[str, Any] = {
    "builder": "zoo.architectures.alexnet:AlexNet",
    "family": "alexnet",
    "year": 2012,
    "input_shape": (3, 227, 227),
    "smallest_px": 67,
}
_AS_ALEXNET_DEPARTS = (
    "227×227 pixels; of the 224×224 that paper and lecture state, 11×11 at stride 4 makes no 55×55",
    "C1 is not padded; the lecture's table says SAME",
    "the lecture's table leaves out the pooling after C7, which F8 needs; the paper has it",
)


def _cifar(depth: int, params: int, total_params: int, mult_adds: int) -> Architecture:
    """One of the residual networks of section 4.2."""
    return Architecture(
        name=f"resnet{depth}",
        builder="zoo.architectures.resnet_cifar:ResNetOfCifar",
        options={"depth": depth},
        family="resnet",
        year=2015,
        title=f"ResNet-{depth} for CIFAR-10, with shortcuts that have no parameters",
        paper=HE_2015 + ", section 4.2",
        input_shape=(3, 32, 32),
        num_classes=10,
        params=params,
        total_params=total_params,
        mult_adds=mult_adds,
    )


WRITTEN_HERE: tuple[Architecture, ...] = (
    Architecture(
        name="lenet5",
        builder="zoo.architectures.lenet5:LeNet5",
        family="lenet",
        year=1998,
        title="LeNet-5 as lectures tabulate it",
        paper=LECUN_1998,
        input_shape=(1, 32, 32),
        content_px=28,
        smallest_px=32,
        num_classes=10,
        params=61_706,
        total_params=61_706,
        mult_adds=423_038,
        departures=(
            "C3 sees all six maps of S2; the paper's sparse table I gives it 60 of 96 pairs",
            "S2 and S4 average without the paper's trainable coefficient and bias",
            "plain tanh; the paper scales it to 1.7159 tanh(2x/3)",
            "a linear output with softmax; the paper's is Euclidean RBF against fixed bitmaps",
            "PyTorch's initial weights; the paper draws them uniformly from ±2.4 / fan-in",
        ),
    ),
    Architecture(
        name="lenet5-1998",
        builder="zoo.architectures.lenet5_1998:LeNet5Of1998",
        family="lenet",
        year=1998,
        title="LeNet-5 as its paper has it: sparse C3, trainable sub-sampling, RBF output",
        paper=LECUN_1998 + ", section II.B",
        input_shape=(1, 32, 32),
        content_px=28,
        smallest_px=32,
        num_classes=10,
        params=60_000,
        total_params=60_000,
        mult_adds=334_604,
        departures=(
            "the 7×12 bitmaps of the paper's figure 3 are redrawn, so single pixels may differ",
            "trained by cross-entropy over negative distances: the paper's equation 9 without its "
            "rubbish-class constant",
            "classes beyond the ten digits get fixed random codes of ±1",
        ),
    ),
    Architecture(
        name="keras-mnist-cnn",
        builder="zoo.architectures.keras_mnist_cnn:KerasMnistCnn",
        family="keras",
        year=2015,
        title="the Keras Sequential that CNN lectures train on MNIST",
        paper="none, a lecture's models.Sequential",
        input_shape=(1, 28, 28),
        smallest_px=8,
        num_classes=10,
        params=87_162,
        total_params=87_290,
        mult_adds=2_553_418,
        departures=(
            "a linear output; the softmax is in the loss",
            "running variance is PyTorch's unbiased one, n/(n-1) of Keras's",
        ),
    ),
    Architecture(
        name="alexnet",
        title="AlexNet as lectures tabulate it, on one device",
        paper=KRIZHEVSKY_2012,
        params=62_378_344,
        total_params=62_378_344,
        mult_adds=1_135_915_368,
        departures=(
            *_AS_ALEXNET_DEPARTS,
            "C3, C6 and C7 see all maps; the paper's two groups see half of them: alexnet-2012",
        ),
        **ALEXNET,
    ),
    Architecture(
        name="alexnet-2012",
        options={"groups": 2},
        title="AlexNet in the two groups that its paper divides among two GPUs",
        paper=KRIZHEVSKY_2012,
        params=60_965_224,
        total_params=60_965_224,
        mult_adds=725_066_088,
        departures=_AS_ALEXNET_DEPARTS,
        **ALEXNET,
    ),
    Architecture(
        name="googlenet-2014",
        builder="zoo.architectures.googlenet_2014:GoogLeNetOf2014",
        family="googlenet",
        year=2014,
        title="GoogLeNet as its paper tabulates it, with both auxiliary classifiers",
        paper=SZEGEDY_2014 + ", table 1",
        input_shape=(3, 224, 224),
        smallest_px=31,
        auxiliary_from=79,
        params=13_378_280,
        total_params=13_378_280,
        mult_adds=1_594_279_400,
        departures=(
            "response normalization of 5 maps with α = 1e-4, β = 0.75, k = 1, and initial weights "
            "by Glorot with biases of 0.2, as in Caffe's replication; the paper states neither",
            "the last pooling averages the whole map, so other sizes pass; at 224×224 that is 7×7",
        ),
    ),
    _cifar(20, 269_722, 271_098, 40_552_426),
    _cifar(32, 464_154, 466_426, 68_864_874),
    _cifar(44, 658_586, 661_754, 97_177_322),
    _cifar(56, 853_018, 857_082, 125_489_770),
    _cifar(110, 1_727_962, 1_736_058, 252_895_786),
)
