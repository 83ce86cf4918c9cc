"""The ImageNet top-1 accuracy of the known models, with the page that states it.

A figure counts if its page is about the very weights, and if it was measured with one crop of each
validation image. Other models have no figure, even if the same architecture has one elsewhere.
"""

from collections.abc import Mapping
from types import MappingProxyType

from diamond_cutter.model_inventory.card import ImagenetAccuracy, ModelCard

_LITE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
_CAFFE = "https://github.com/BVLC/caffe/tree/master/models"
_SLIM = "https://github.com/tensorflow/models/tree/master/research/slim"
_KERAS = "https://keras.io/api/applications/"

_PUBLISHED: Mapping[str, Mapping[str, float]] = {
    # The packages hold the official checkpoints, converted for PyTorch.
    _LITE: {
        "efficientnet-lite0": 0.751,
        "efficientnet-lite1": 0.767,
        "efficientnet-lite2": 0.776,
    },
    f"{_CAFFE}/bvlc_googlenet": {"lucid/InceptionV1_caffe": 0.687},
    f"{_CAFFE}/bvlc_reference_caffenet": {"lucid/CaffeNet_caffe": 0.574},
    # The conversions that lucid names began with this model, not with the weights of 2012.
    f"{_CAFFE}/bvlc_alexnet": {"lucid/AlexNet": 0.571},
    _SLIM: {
        # The VGG team states no accuracy for one crop. Slim converted the same files as lucid.
        "lucid/VGG16_caffe": 0.715,
        "lucid/VGG19_caffe": 0.711,
        "lucid/InceptionV1_slim": 0.698,
        "lucid/InceptionV2_slim": 0.739,
        "lucid/InceptionV3_slim": 0.780,
        "lucid/InceptionV4_slim": 0.802,
        "lucid/InceptionResnetV2_slim": 0.804,
        "lucid/ResnetV1_50_slim": 0.752,
        "lucid/ResnetV1_101_slim": 0.764,
        "lucid/ResnetV1_152_slim": 0.768,
        # Measured on images of 299 pixels; lucid declares 224 for the same weights.
        "lucid/ResnetV2_50_slim": 0.756,
        "lucid/ResnetV2_101_slim": 0.770,
        "lucid/ResnetV2_152_slim": 0.778,
        "lucid/MobilenetV1_slim": 0.709,
        "lucid/MobilenetV2_10_slim": 0.719,
        "lucid/MobilenetV2_14_slim": 0.749,
        "lucid/NasnetMobile_slim": 0.740,
        "lucid/NasnetLarge_slim": 0.827,
        "lucid/PnasnetMobile_slim": 0.742,
        "lucid/PnasnetLarge_slim": 0.829,
    },
    _KERAS: {
        "keras/convnexttiny": 0.813,
        "keras/convnextsmall": 0.823,
        "keras/convnextbase": 0.853,
        "keras/convnextlarge": 0.863,
        "keras/convnextxlarge": 0.867,
        "keras/densenet121": 0.750,
        "keras/densenet169": 0.762,
        "keras/densenet201": 0.773,
        "keras/efficientnetb0": 0.771,
        "keras/efficientnetb1": 0.791,
        "keras/efficientnetb2": 0.801,
        "keras/efficientnetb3": 0.816,
        "keras/efficientnetb4": 0.829,
        "keras/efficientnetb5": 0.836,
        "keras/efficientnetb6": 0.840,
        "keras/efficientnetb7": 0.843,
        "keras/efficientnetv2b0": 0.787,
        "keras/efficientnetv2b1": 0.798,
        "keras/efficientnetv2b2": 0.805,
        "keras/efficientnetv2b3": 0.820,
        "keras/efficientnetv2s": 0.839,
        "keras/efficientnetv2m": 0.853,
        "keras/efficientnetv2l": 0.857,
        "keras/inceptionresnetv2": 0.803,
        "keras/inceptionv3": 0.779,
        "keras/mobilenet": 0.704,
        "keras/mobilenetv2": 0.713,
        "keras/nasnetlarge": 0.825,
        "keras/nasnetmobile": 0.744,
        "keras/resnet50": 0.749,
        "keras/resnet101": 0.764,
        "keras/resnet152": 0.766,
        "keras/vgg16": 0.713,
        "keras/vgg19": 0.713,
        "keras/resnet50v2": 0.760,
        "keras/resnet101v2": 0.772,
        "keras/resnet152v2": 0.780,
        "keras/xception": 0.790,
    },
    # The list of Keras omits these two; the page of their functions has them.
    f"{_KERAS}mobilenet/": {"keras/mobilenetv3small": 0.681, "keras/mobilenetv3large": 0.756},
}

PUBLISHED_ACCURACY: Mapping[str, ImagenetAccuracy] = MappingProxyType(
    {
        name: ImagenetAccuracy(top1=top1, source=source)
        for source, figures in _PUBLISHED.items()
        for name, top1 in figures.items()
    }
)

WITHOUT_PUBLISHED_ACCURACY = frozenset(
    {
        # Trained on Places.
        "lucid/AlexNet_caffe_Places365",
        "lucid/InceptionV1_caffe_Places205",
        "lucid/InceptionV1_caffe_Places365",
        # Lucid lists slim's checkpoints for images of 160 and 128 pixels as its sources, but
        # declares 224 pixels. Slim has other checkpoints with other figures for that size.
        "lucid/MobilenetV1_050_slim",
        "lucid/MobilenetV1_025_slim",
        # An image encoder without classes.
        "lucid/Clip_ResNet50_4x",
        # Released with a tutorial that states no accuracy.
        "lucid/InceptionV1",
        # Lucid states only its accuracy on adversarial images, and only top-5.
        "lucid/InceptionV1_adv_finetuned",
    }
)


def published_accuracy(name: str) -> ImagenetAccuracy | None:
    """Return the accuracy of a known model, or None without a published figure."""
    return PUBLISHED_ACCURACY.get(name)


def known_accuracy(card: ModelCard) -> ImagenetAccuracy | None:
    """Return the accuracy on a card, or the published one of the known model of its name.

    Cards from earlier versions have no accuracy. No user's model has the name of a known model.
    """
    return card.imagenet or published_accuracy(card.name)
