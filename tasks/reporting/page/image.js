// The page of an image: a map for each layer, and the channels at each position.

let wayOfPosition = "attribution";

const choices = (words, options, chosen, onChoose) =>
  make("div", { class: "choices", role: "group", "aria-label": words }, ...options.map(([value, ...inner]) => make("button", { type: "button", "aria-pressed": String(value === chosen), onclick: () => onChoose(value) }, ...inner)));

const decision = (image, value) => {
  const label = image.label === null ? "" : make("span", { class: "quiet" }, " · label: ", nameOf(image.label));
  if (hasValues) return make("p", {}, nameOf(capital(className(image.explained[0].positive))), ": ", make("strong", {}, decimal(value)), label);
  const threshold = site.head === "two classes" ? make("span", { class: "quiet" }, " · threshold: ", ...thresholdParts()) : "";
  return make("p", {}, "Predicted: ", make("strong", {}, nameOf(className(image.predicted[0][0]))), " ", verdict(image.right), label, threshold);
};

const placeWords = (target) => {
  if (wayOfPosition === "activation") return ["Channels with the highest activations here."];
  const explained = explainedParts(target, nameOf);
  return hasValues ? ["Channels that raise ", ...explained, " most here."] : ["Channels with the strongest support for ", ...explained, " here."];
};

const predictions = (image) => {
  if (hasValues) return "";
  const line = ([number, probability]) => make("li", {}, make("span", { class: "class-name", title: className(number) }, nameOf(className(number))), valueBar(probability, 1), make("span", {}, percent(probability)));
  return make("ol", { class: "predictions", "aria-label": "predicted classes" }, ...image.predicted.map(line));
};

const opacityTool = (stage) =>
  make("label", { class: "tool" }, make("span", {}, "Map"), make("input", { type: "range", min: 0, max: 100, value: Math.round(100 * mapOpacity), "aria-label": "opacity of the map", oninput: (event) => stage.setOpacity(event.target.value / 100) }));

const showImage = async (root, number, wantedLayer, isCurrent) => {
  const [image, list] = await Promise.all([loadImage(number), loadList()]);
  if (!isCurrent()) return null;
  const at = list.images.findIndex((other) => other.number === number);
  const goal = (other) => other && { path: imagePath(other.number, layer), title: other.name };
  let layer = site.layers[layerNumber.get(wantedLayer) ?? site.layers.length - 1];
  let numbers = await loadLayer(layer);
  if (!isCurrent()) return null;
  let explained = 0;
  let group = null; // null is the heat map, "all" all groups
  let frame = 0;

  const details = () => image.layers[layerNumber.get(layer.name)];
  const map = () => details().maps[explained];
  const here = () => channelsAt(details(), wayOfPosition, map(), stage.place());
  const panel = make("aside", { class: "position", "aria-label": "channels at the selected position" });
  const head = make("div", {});
  const mapTools = make("div", { class: "map-tools" });
  const groupTools = make("div", {});
  const stage = makeStage(image, () => (frame = frame || requestAnimationFrame(showPlace)), (place) => `${positionWords(layer, place)}: channels ${channelsAt(details(), wayOfPosition, map(), place).join(", ") || "none"}`);
  const rail = layerRail(layer, (other) => imagePath(number, other), (other) => smallMap(image.file, () => heatPicture(other, image.layers[layerNumber.get(other.name)].maps[explained])));

  const showPlace = () => {
    frame = 0;
    const target = image.explained[explained];
    panel.replaceChildren(
      make("h2", {}, positionWords(layer, stage.place()), stage.isPinned() ? make("span", { class: "quiet small" }, " pinned; click again to unpin") : ""),
      choices("order of channels", [["attribution", "by attribution"], ["activation", "by activation"]], wayOfPosition, (way) => {
        wayOfPosition = way;
        stage.relabel();
        showPlace();
      }),
      make("p", { class: "quiet small" }, ...placeWords(target)),
      positionSprites(layer, numbers, here()),
      ...seenFrom(layer, image, details(), stage.place()),
      ...samePlace(layer, details(), stage.place(), list),
    );
  };

  const paint = () => {
    if (group === null || !details().groups.length) stage.paint(heatPicture(layer, map()));
    else stage.paint(groupsPicture(layer, details().groups, group === "all" ? null : group));
  };

  const groupChoices = () => {
    if (!details().groups.length) return "";
    const one = (known) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = `rgb(${groupColour(known.number)})`;
      const value = details().group_attribution[known.number];
      return [known.number, cellPicture(layer.group_sprites, known.sprite), swatch, make("span", {}, `${known.number + 1}`, ...(value === undefined ? [] : [make("b", { class: sideOf(value) }, ` ${signed(value)}`)]))];
    };
    return choices("map over the image", [[null, "heat map"], ["all", "all groups"], ...layer.groups.map(one)], group, (next) => {
      group = next;
      showMap();
    });
  };

  const showMap = () => {
    const options = image.explained.map((target, place) => [place, make("span", {}, ...explainedParts(target, nameOf))]);
    const most = decimal(map().scale);
    mapTools.replaceChildren(
      choices("explained class", options, explained, (next) => {
        explained = next;
        rail.querySelectorAll("canvas").forEach((canvas) => observer.observe(canvas)); // to draw them again
        stage.relabel();
        showMap();
        showPlace();
      }),
      make("p", { class: "legend quiet small" }, ...(group === null ? [`−${most}`, make("span", { class: "ramp" }), `+${most}`] : ["activation of each neuron group"])),
      opacityTool(stage),
    );
    groupTools.replaceChildren(groupChoices());
    paint();
  };

  const showLayerOf = () => {
    const grid = { width: layer.width, height: layer.height };
    stage.setGrid(grid);
    if (layer.groups.length <= group && group !== "all") group = null;
    head.replaceChildren(
      make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: listPath() }, "Images"), make("h1", { tabindex: -1 }, nameOf(image.name))), turns("previous and next image", goal(list.images[at - 1]), goal(list.images[at + 1]))),
    );
    showInRail(rail, layer);
    document.title = `${image.name} · ${layer.name} · ${siteTitle}`;
    showMap();
    showPlace();
  };

  root.className = "page report";
  root.replaceChildren(
    head,
    make(
      "div",
      { class: "image-facts" },
      decision(image, list.images[at].value),
      predictions(image),
    ),
    rail,
    mapTools,
    make("div", { class: "inspect" }, stage.node, panel, groupTools),
  );
  showLayerOf();
  stage.choose(strongest(map()));
  const resized = new ResizeObserver(paint);
  resized.observe(stage.node);
  const open = (other) => () => other && (window.location.hash = imagePath(other.number, layer));
  const through = (by) => () => {
    const next = site.layers[layerNumber.get(layer.name) + by];
    if (next) window.location.hash = imagePath(number, next);
  };
  const follow = async (next) => {
    const loaded = await loadLayer(next);
    if (wantedNow !== next) return;
    [layer, numbers] = [next, loaded];
    showLayerOf();
  };
  let wantedNow = layer;
  return {
    close: () => {
      resized.disconnect();
      cancelAnimationFrame(frame);
    },
    follow: (page, name, layerName) => {
      const next = site.layers[layerNumber.get(layerName)];
      if (page !== "image" || Number(name) !== number || !next) return false;
      wantedNow = next;
      follow(next).catch((error) => panel.replaceChildren(make("p", { class: "failure", role: "alert" }, error.message)));
      return true;
    },
    keys: { Escape: () => (stage.isPinned() ? stage.unpin() : (window.location.hash = listPath())), ArrowLeft: open(list.images[at - 1]), ArrowRight: open(list.images[at + 1]), "[": through(-1), "]": through(1) },
  };
};

// The first selected position: the highest absolute attribution.
const strongest = (map) => map.values.reduce((best, value, place) => (Math.abs(value) > Math.abs(map.values[best]) ? place : best), 0);
