// The page's data: the report from its own JSON; layers, details of images and the list of images from scripts.

const site = JSON.parse(document.getElementById("site").textContent);
const classNamed = new Map(site.classes.map((shown) => [shown.number, shown]));
const layerNumber = new Map(site.layers.map((layer, number) => [layer.name, number]));
const pageOf = new Map(site.pages.flatMap((page, number) => page.images.map((image) => [image, number])));
const shownImages = [...pageOf.keys()]; // in the order of their numbers

const loadLayer = async (layer) => {
  const numbers = await loadNumbers(`layer:${layer.name}`, layer.numbers, "The layer’s data could not be loaded.");
  numbers.byChannel = numbers.byChannel || new Map(numbers.channels.map((known) => [known.channel, known]));
  return numbers;
};

// The data of a layer with its attributions over the sets of images; in reports of earlier versions, both are in one file.
const loadLayerSets = async (layer) => {
  const sets = layer.sets ? loadNumbers(`sets:${layer.name}`, layer.sets, "The layer’s means could not be loaded.") : loadLayer(layer);
  const [numbers, found] = await Promise.all([loadLayer(layer), sets]);
  numbers.sets = found.sets;
  return numbers;
};

// The data of a channel. The report does not know whether an unlisted channel has a sprite.
const knownOf = (numbers, channel) =>
  numbers.byChannel.get(channel) || { channel, unlisted: true, sprite: null, label: "", words: "", patches: { cells: [], images: [], names: [], values: [], quantiles: [] } };

const loadImage = async (number) => {
  const page = pageOf.get(number);
  if (page === undefined) throw new Error("The report does not include this image.");
  const { images } = await loadNumbers(`page:${page}`, site.pages[page].file, "The image’s data could not be loaded.");
  const image = images.find((details) => details.number === number);
  if (!image) throw new Error("The image is missing in its data file.");
  return image;
};

const loadList = async () => {
  const list = await loadNumbers("images", site.shown, "The list of images could not be loaded.");
  list.byNumber = list.byNumber || new Map(list.images.map((image) => [image.number, image]));
  return list;
};

// Whether a mean over the set mixes questions, because its images are explained by different classes. Reports of earlier versions do
// not say so.
const mixesQuestions = (set) => set.mixes_questions || (set.kind === "all" && !site.created && site.spec.positive === "auto" && site.head === "classes");

// The sets in the order of their tabs: if the mean over all images mixes questions, it comes last.
const SET_ORDER = mixesQuestions(site.sets[0]) ? ["class", "label", "right", "wrong", "all"] : ["all", "class", "label", "right", "wrong"];
const setOrder = site.sets.map((_, number) => number).sort((one, other) => SET_ORDER.indexOf(site.sets[one].kind) - SET_ORDER.indexOf(site.sets[other].kind) || one - other);
const firstSet = setOrder[0];

const escaped = encodeURIComponent;
const layerPath = (layer, set = null) => `#/layer/${escaped(layer.name)}${set === null ? "" : `/${set}`}`;
const channelPath = (layer, channel, set = null) => withState(layerPath(layer, set), { channel });
const imagePath = (image, layer) => `#/image/${image}${layer ? `/${escaped(layer.name)}` : ""}`;
const listPath = (page = 1, set = 0) => `#/images/${page}/${set}`;
const comparePath = (layer, a, b) => withState(`#/compare/${escaped(layer.name)}`, { a, b });

// The channel's page in the gallery, which is in the same bucket.
const galleryPath = (layer, channel) => `../../../../sprites/${escaped(site.model)}/${escaped(site.sprites)}/index.html#/layer/${escaped(layer.name)}/${channel}`;

const homeLink = () => make("a", { href: "#/", title: site.dataset }, nameOf(site.dataset.split("@")[0]));
