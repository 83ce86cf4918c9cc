// The names and meanings of scores and attempts, and which derived words say something.

const SCORES = {
  objective: ["objective", "mean of the maximised objective over new random transforms"],
  specificity: ["specificity", "mean activation of the channel above the other channels of the layer, in standard deviations"],
  photo_ratio: ["photo ratio", "highest activation divided by the highest activation on your photos; below 1, a photo excites the channel more"],
  highest_activation: ["highest activation", "highest activation of the channel at any position"],
  contrast: ["contrast", "standard deviation of the pixel values in [0, 1]"],
  saturation: ["saturation", "share of pixel values close to black or white"],
  checkerboard: ["checkerboard", "power at the frequency of the pixel grid, divided by the power of the octave below"],
};

// The scores for sorting, besides the channel number.
const SORTED_BY = ["objective", "specificity", "photo_ratio", "contrast", "checkerboard"];

const RUNGS = {
  first: "first attempt",
  redirect: "retried with gradients through inactive ReLUs in all steps",
  "pre-activation": "retried on the input of the layer's activation function",
  seed: "retried with another seed",
  steps: "retried with twice the steps",
  regularise: "retried with more regularisation",
  none: "all attempts failed; the picture is the first attempt",
};

// A derived line without the parts that only say that nothing is known.
const SAYS_NOTHING = /^(responds to no class in particular|too few (images|classes)|no images)/;
const saying = (words) => words.split("; ").filter((part) => part && !SAYS_NOTHING.test(part)).join("; ");
