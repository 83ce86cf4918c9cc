"""Sets of TensorFlow operations that several readers of graphs distinguish."""

ACTIVATIONS = frozenset("Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign".split())
PROBABILITIES = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})

# Keep the values of their input; all but Identity may change its shape.
PASS_THROUGH = frozenset({"Identity", "Reshape"})
SAME_VALUES = PASS_THROUGH | {"Squeeze"}
# Return their input and check or print it. Only graphs that are cleaned before TensorFlow sees
# them may print: to import a graph can run operations on constants.
CHECKS = frozenset({"CheckNumerics", "PreventGradient"})
PRINTING_CHECKS = CHECKS | {"CheckNumericsV2", "Print", "PrintV2"}

# Multiply their first input by weights that are constants in every imported model.
PRODUCTS = frozenset({"Conv2D", "DepthwiseConv2dNative", "MatMul"})
WEIGHTED = PRODUCTS | {"Conv2DBackpropInput", "Conv3D", "BatchMatMulV2", "Einsum"}
BIASES = frozenset({"BiasAdd", "Add", "AddV2"})
BATCH_NORMS = frozenset({"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"})

VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
CONTROL_FLOW = frozenset(
    (
        "Switch RefSwitch Merge RefMerge Enter RefEnter Exit NextIteration LoopCond Abort "
        "If StatelessIf While StatelessWhile Case StatelessCase For"
    ).split()
)
