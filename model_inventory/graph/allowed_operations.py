"""The operations that graphs may contain: numbers from numbers, no state, files, network or Python.

Every graph is checked against this list when a model is imported, and again when a bundle is read
from a bucket. The check reads names and types in the protocol buffer. TensorFlow must not see a
graph before that, because importing a graph can run operations on constants.
"""

import math
from collections.abc import Collection, Iterable

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from diamond_cutter.model_inventory.errors import BadModel, first_few
from diamond_cutter.model_inventory.graph.graph_def import attribute

_LARGEST_CONSTANT_BYTES = 2**31  # the limit of a graph
_NO_NUMBERS = {
    tf.string.as_datatype_enum,
    tf.resource.as_datatype_enum,
    tf.variant.as_datatype_enum,
}

_VALUES_AND_SHAPES = """
    Const Placeholder Identity IdentityN Snapshot StopGradient PreventGradient EnsureShape
    Bitcast Cast Shape ShapeN Rank Size Reshape Squeeze ExpandDims Transpose ConjugateTranspose
    Fill ZerosLike OnesLike BroadcastTo BroadcastArgs BroadcastGradientArgs Range LinSpace
    OneHot Pack Unpack Concat ConcatV2 ConcatOffset Split SplitV Slice StridedSlice
    StridedSliceGrad Tile Pad PadV2 MirrorPad Reverse ReverseV2 ReverseSequence Roll Gather
    GatherV2 GatherNd ScatterNd TensorScatterUpdate TensorScatterAdd TensorScatterSub
    TensorScatterMin TensorScatterMax DynamicPartition DynamicStitch InvertPermutation Where
    Select SelectV2 SpaceToBatch SpaceToBatchND BatchToSpace BatchToSpaceND SpaceToDepth
    DepthToSpace DataFormatDimMap DataFormatVecPermute UnravelIndex Diag DiagPart MatrixDiag
    MatrixDiagV2 MatrixDiagV3 MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixSetDiag
    MatrixSetDiagV2 MatrixSetDiagV3 MatrixBandPart NoOp
"""
_ONE_BY_ONE = """
    Add AddV2 Sub Mul Div RealDiv DivNoNan MulNoNan FloorDiv TruncateDiv Mod FloorMod
    TruncateMod Maximum Minimum Pow SquaredDifference AddN AccumulateNV2 Neg Abs Sign Reciprocal
    Inv Square Sqrt Rsqrt Exp Expm1 Log Log1p Xlogy Xlog1py Xdivy NextAfter Floor Ceil Round
    Rint Sin Cos Tan Asin Acos Atan Atan2 Sinh Cosh Tanh Asinh Acosh Atanh Erf Erfc Erfinv Ndtri
    Lgamma Digamma Polygamma Zeta Igamma Igammac Betainc BesselI0 BesselI1 BesselI0e BesselI1e
    BesselJ0 BesselJ1 BesselK0 BesselK1 BesselK0e BesselK1e BesselY0 BesselY1 Dawsn Expint
    FresnelCos FresnelSin Spence ClipByValue Relu Relu6 LeakyRelu Elu Selu Softplus Softsign
    Sigmoid Softmax LogSoftmax IsNan IsInf IsFinite Equal NotEqual Less LessEqual Greater
    GreaterEqual ApproximateEqual LogicalAnd LogicalOr LogicalNot BitwiseAnd BitwiseOr
    BitwiseXor Invert LeftShift RightShift PopulationCount Complex Real Imag Conj ComplexAbs
    Angle FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel
    QuantizeAndDequantize QuantizeAndDequantizeV2 QuantizeAndDequantizeV3
    QuantizeAndDequantizeV4 Bucketize
"""
_OVER_AXES = """
    Sum Mean Prod Max Min All Any EuclideanNorm ArgMax ArgMin Cumsum Cumprod CumulativeLogsumexp
    TopK TopKV2 NthElement SegmentSum SegmentSumV2 SegmentMean SegmentMax SegmentMaxV2
    SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 UnsortedSegmentSum UnsortedSegmentMax
    UnsortedSegmentMin UnsortedSegmentProd L2Loss LowerBound UpperBound
"""
_LAYERS = """
    Conv Conv2D Conv2DBackpropInput Conv2DBackpropInputV2 Conv3D Conv3DBackpropInput
    Conv3DBackpropInputV2 DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput Dilation2D
    FusedPadConv2D FusedResizeAndPadConv2D BiasAdd BiasAddV1 MatMul BatchMatMul BatchMatMulV2
    BatchMatMulV3 Einsum Cross MaxPool MaxPoolV2 MaxPool3D MaxPoolWithArgmax AvgPool AvgPool3D
    FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BatchNormWithGlobalNormalization LRN
    BlockLSTM BlockLSTMV2 LSTMBlockCell GRUBlockCell
"""
_SPECTRA = """
    FFT FFT2D FFT3D FFTND IFFT IFFT2D IFFT3D IFFTND RFFT RFFT2D RFFT3D RFFTND IRFFT IRFFT2D
    IRFFT3D IRFFTND
"""
_IMAGES = """
    ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ScaleAndTranslate
    CropAndResize ExtractGlimpse ExtractGlimpseV2 ExtractImagePatches ExtractVolumePatches
    ImageProjectiveTransformV2 ImageProjectiveTransformV3 AdjustContrast AdjustContrastv2
    AdjustHue AdjustSaturation RGBToHSV HSVToRGB NonMaxSuppression NonMaxSuppressionV2
    NonMaxSuppressionV3 NonMaxSuppressionV4 NonMaxSuppressionV5 CombinedNonMaxSuppression
"""
# The only operation with a state, that of a random generator. Frozen graphs of TensorFlow 1 contain
# disabled dropout.
_DROPOUT = "RandomUniform"

ALLOWED_OPERATIONS = frozenset(
    " ".join(
        (_VALUES_AND_SHAPES, _ONE_BY_ONE, _OVER_AXES, _LAYERS, _SPECTRA, _IMAGES, _DROPOUT)
    ).split()
)


def refuse_graph(graph: tf.compat.v1.GraphDef, whose: str) -> None:
    """Refuse a graph with other operations, values that are not numbers, or huge constants.

    Args:
        graph: complete; no node may call a function.
        whose: the file or model, at the beginning of errors.

    Raises:
        BadModel: names the operation or value, and its node.
    """
    refuse_operations(graph.node, whose)
    for node in graph.node:
        _refuse_values(node, whose)


def refuse_operations(
    nodes: Iterable[tf.compat.v1.NodeDef], whose: str, also: Collection[str] = ()
) -> None:
    """Refuse nodes with operations that are not on the list.

    Args:
        nodes: of the graph, and of the functions that it calls.
        whose: the file or model, at the beginning of errors.
        also: operations that the caller removes before anything runs.

    Raises:
        BadModel: names the operations, and the node of each.
    """
    forbidden = {
        node.op: node.name
        for node in nodes
        if node.op not in ALLOWED_OPERATIONS and node.op not in also
    }
    unknown = [op for op in forbidden if op_def_registry.get(op) is None]
    if unknown:
        raise BadModel(
            f"{whose} has unknown operations: expected operations of TensorFlow "
            f"{tf.__version__}, found {first_few(sorted(unknown))}"
        )
    if forbidden:
        found = first_few(sorted(f"{op} in {name[:80]}" for op, name in forbidden.items()))
        raise BadModel(
            f"{whose} has forbidden operations: expected operations that only compute numbers, "
            f"found {found}"
        )


def _refuse_values(node: tf.compat.v1.NodeDef, whose: str) -> None:
    for name, value in node.attr.items():
        strange = {value.type, *value.list.type} & _NO_NUMBERS
        if strange or value.HasField("func") or value.list.func:
            kind = tf.as_dtype(strange.pop()).name if strange else "function"
            raise BadModel(
                f"{whose} has a value of a forbidden type: expected numbers, found a {kind} "
                f"({name[:80]} of the {node.op} {node.name[:80]})"
            )
    if node.op == "Const":
        tensor = attribute(node, "value").tensor
        count = math.prod(max(dimension.size, 0) for dimension in tensor.tensor_shape.dim)
        size = count * (tf.as_dtype(tensor.dtype).size if tensor.dtype else 1)
        if size > _LARGEST_CONSTANT_BYTES:
            raise BadModel(
                f"{whose} has a constant that is too large: expected at most "
                f"{_LARGEST_CONSTANT_BYTES} bytes, found {size} ({node.name[:80]})"
            )
