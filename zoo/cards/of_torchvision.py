"""The cards of networks that torchvision's own builders make."""

from typing import Any

from zoo import published
from zoo.cards.card import Architecture


def _card(
    name: str, title: str, params: int, total_params: int, mult_adds: int, **others: Any
) -> Architecture:
    """A card; torchvision's name is the card's own with `_` for `-`, unless it is given."""
    torchvisions = others.pop("torchvisions", name.replace("-", "_"))
    return Architecture(
        name=name,
        title=title,
        builder="zoo.architectures.torchvision_models:torchvision_model",
        options={"name": torchvisions},
        params=params,
        total_params=total_params,
        mult_adds=mult_adds,
        **published.on_card(torchvisions),
        **{"input_shape": (3, 224, 224), **others},
    )


_OWN_FIRST_WEIGHTS = (
    "PyTorch's initial weights; torchvision's truncated normals take seconds to draw"
)

ALEXNET = {
    "family": "alexnet",
    "year": 2014,
    "paper": "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks",
    "smallest_px": 63,
    "departures": (
        "trained on one device; the paper is about dividing it among eight",
        "averages to 6×6 before the full connections, so other sizes pass",
    ),
}
_VGG_DEPARTS = (
    "averages to 7×7 before the full connections, so other sizes pass",
    "convolutions start as He et al. 2015 draw; the paper starts deep ones from VGG-11's layers",
)
VGG = {
    "family": "vgg",
    "year": 2014,
    "paper": "Simonyan and Zisserman 2014, Very deep convolutional networks for large-scale image "
    "recognition",
    "smallest_px": 32,
    "departures": _VGG_DEPARTS,
}
VGG_BN = {
    **VGG,
    "departures": (*_VGG_DEPARTS, "batch norm after each convolution; the paper has none"),
}
GOOGLENET = {
    "family": "googlenet",
    "year": 2014,
    "paper": "Szegedy et al. 2014, Going deeper with convolutions",
    "smallest_px": 15,
    "auxiliary_from": 15,
    "departures": (
        "batch norm after each convolution, and no response normalization",
        "3×3 in the branches that the paper has 5×5, with its number of maps",
        "pools 2×2 before 5a, where the paper pools 3×3",
        "dropout of 0.2; the paper's is 0.4",
        "the auxiliary classifiers average to 4×4 whatever the size",
        _OWN_FIRST_WEIGHTS,
    ),
}
INCEPTION = {
    "family": "googlenet",
    "year": 2015,
    "paper": "Szegedy et al. 2015, Rethinking the Inception architecture for computer vision",
    "input_shape": (3, 299, 299),
    "smallest_px": 75,
    "auxiliary_from": 299,
    "departures": (
        "the layers of the network that its authors released; the paper's table 1 has another stem",
        _OWN_FIRST_WEIGHTS + ", and here make logits beyond 1e11",
    ),
}
RESNET = {
    "family": "resnet",
    "year": 2015,
    "paper": "He et al. 2015, Deep residual learning for image recognition",
    "departures": (
        "1×1 convolutions in the shortcuts where the size changes: the paper's option B",
    ),
}
BOTTLENECK = {
    **RESNET,
    "departures": ("the stride sits on the 3×3, not on the 1×1 before it: ResNet v1.5",),
}
DENSENET = {
    "family": "densenet",
    "year": 2016,
    "paper": "Huang et al. 2016, Densely connected convolutional networks",
    "smallest_px": 29,
}
SQUEEZENET = {
    "family": "squeezenet",
    "smallest_px": 17,
    "year": 2016,
    "paper": "Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
    "departures": (
        "version 1.1 of its authors: smaller first filters, earlier pooling, 2.4 times less work",
    ),
}
MOBILENET_V2 = {
    "family": "mobilenet",
    "year": 2018,
    "paper": "Sandler et al. 2018, MobileNetV2: inverted residuals and linear bottlenecks",
}
MOBILENET_V3 = {
    "family": "mobilenet",
    "year": 2019,
    "paper": "Howard et al. 2019, Searching for MobileNetV3",
}
SHUFFLENET = {
    "family": "shufflenet",
    "year": 2018,
    "paper": "Ma et al. 2018, ShuffleNet V2: practical guidelines for efficient CNN design",
}
EFFICIENTNET = {
    "family": "efficientnet",
    "year": 2019,
    "paper": "Tan and Le 2019, EfficientNet: rethinking model scaling for convolutional networks",
}
REGNET = {
    "family": "regnet",
    "year": 2020,
    "paper": "Radosavovic et al. 2020, Designing network design spaces",
}
VIT = {
    "family": "vit",
    "year": 2020,
    "paper": "Dosovitskiy et al. 2020, An image is worth 16x16 words",
    "smallest_px": 16,
}
CONVNEXT = {
    "family": "convnext",
    "year": 2022,
    "paper": "Liu et al. 2022, A ConvNet for the 2020s",
    "smallest_px": 32,
}

# Name, title; parameters, with batch-norm statistics, multiply-adds.
OF_TORCHVISION: tuple[Architecture, ...] = (
    _card("alexnet-owt", "AlexNet in one column, without response normalization",
          61_100_840, 61_100_840, 714_682_664, torchvisions="alexnet", **ALEXNET),
    _card("vgg11", "VGG-11, configuration A: 8 convolutions",
          132_863_336, 132_863_336, 7_616_525_288, **VGG),
    _card("vgg11-bn", "VGG-11 with batch norm",
          132_868_840, 132_874_344, 7_616_530_792, **VGG_BN),
    _card("vgg13", "VGG-13, configuration B: 10 convolutions",
          133_047_848, 133_047_848, 11_320_718_312, **VGG),
    _card("vgg13-bn", "VGG-13 with batch norm",
          133_053_736, 133_059_624, 11_320_724_200, **VGG_BN),
    _card("vgg16", "VGG-16, configuration D: 13 convolutions",
          138_357_544, 138_357_544, 15_483_821_032, **VGG),
    _card("vgg16-bn", "VGG-16 with batch norm",
          138_365_992, 138_374_440, 15_483_829_480, **VGG_BN),
    _card("vgg19", "VGG-19, configuration E: 16 convolutions",
          143_667_240, 143_667_240, 19_646_923_752, **VGG),
    _card("vgg19-bn", "VGG-19 with batch norm",
          143_678_248, 143_689_256, 19_646_934_760, **VGG_BN),
    _card("googlenet", "GoogLeNet with batch norm",
          13_004_888, 13_019_960, 1_506_768_536, **GOOGLENET),
    _card("inception-v3", "Inception v3: factorized filters",
          27_161_264, 27_197_488, 5_718_937_520, **INCEPTION),
    _card("resnet18", "ResNet-18: 8 basic blocks",
          11_689_512, 11_699_112, 1_814_083_944, **RESNET),
    _card("resnet34", "ResNet-34: 16 basic blocks",
          21_797_672, 21_814_696, 3_663_779_432, **RESNET),
    _card("resnet50", "ResNet-50: 16 bottlenecks",
          25_557_032, 25_610_152, 4_089_238_376, **BOTTLENECK),
    _card("resnet101", "ResNet-101: 33 bottlenecks",
          44_549_160, 44_654_504, 7_801_511_784, **BOTTLENECK),
    _card("resnet152", "ResNet-152: 50 bottlenecks",
          60_192_808, 60_344_232, 11_513_779_048, **BOTTLENECK),
    _card("squeezenet1-1", "SqueezeNet 1.1: squeeze by 1×1, expand by 1×1 and 3×3",
          1_235_496, 1_235_496, 351_741_288, **SQUEEZENET),
    _card("densenet121", "DenseNet-121: each layer reads all before it",
          7_978_856, 8_062_504, 2_834_246_312, **DENSENET),
    _card("mobilenet-v2", "MobileNetV2: inverted residuals",
          3_504_872, 3_538_984, 300_809_384, **MOBILENET_V2),
    _card("shufflenet-v2-x1-0", "ShuffleNet V2: channels split and shuffled",
          2_278_604, 2_294_784, 144_925_172, **SHUFFLENET),
    _card("mobilenet-v3-small", "MobileNetV3, small: searched, with squeeze-and-excitation",
          2_542_856, 2_554_968, 56_527_424, **MOBILENET_V3),
    _card("mobilenet-v3-large", "MobileNetV3, large: searched, with squeeze-and-excitation",
          5_483_032, 5_507_432, 216_621_520, **MOBILENET_V3),
    _card("efficientnet-b0", "EfficientNet-B0: the one that the others scale",
          5_288_548, 5_330_564, 385_867_108, **EFFICIENTNET),
    _card("regnet-y-400mf", "RegNetY of 400 million multiply-adds",
          4_344_144, 4_371_296, 401_876_208, **REGNET),
    _card("vit-b-16", "Vision Transformer, base, on patches of 16×16",
          86_567_656, 86_567_656, 16_865_030_632, **VIT),
    _card("convnext-tiny", "ConvNeXt, tiny: a ResNet modernized step by step",
          28_589_128, 28_589_128, 4_468_983_208, **CONVNEXT),
)  # fmt: skip
