// What scores, flags and attempts are called, and what they mean.

const SCORES = {
  objective: ["objective", "mean of what was maximised, under fresh random transforms"],
  specificity: ["specificity", "how far the channel's mean activation stands above those of the layer's other channels, in their standard deviations"],
  photo_ratio: ["photo ratio", "highest activation over the highest on your photos; below 1 a photo excites the channel more"],
  highest_activation: ["highest activation", "the highest of the channel at any position"],
  contrast: ["contrast", "standard deviation of the picture's values, which lie between 0 and 1"],
  saturation: ["saturation", "share of the picture's values that are almost black or almost white"],
  checkerboard: ["checkerboard", "power at the pixel grid's own frequency, over that of the octave below"],
};

// By what a layer can be sorted, beside the channel.
const SORTED_BY = ["objective", "specificity", "photo_ratio", "contrast", "checkerboard"];

const FLAGS = {
  dead: "the channel's activation never left zero",
  grey: "the picture never left its start",
  saturated: "more than half of the values are almost black or white",
  checkerboard: "a pattern of the pixel grid shows",
  not_finite: "the numbers broke down",
};

const RUNGS = {
  first: "the first attempt",
  redirect: "tried again with gradient through shut ReLUs in all steps",
  "pre-activation": "tried again from before the layer's activation function",
  seed: "tried again from another seed",
  steps: "tried again with twice the steps",
  regularise: "tried again, smoother",
  none: "all attempts failed; this is the first",
};
