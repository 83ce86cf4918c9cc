// The page of an image: the maps of all layers, the map of one layer over the image, and the channels at each position.

const SHORT_RAIL = 4; // more layers need the room beside the image, so what is around a position moves under it

const showImage = async (root, number, wantedLayer, isCurrent) => {
  const image = await loadImage(number);
  if (!isCurrent()) return null;
  let layer = site.layers[layerNumber.get(wantedLayer) ?? site.layers.length - 1];
  let numbers = await loadLayer(layer);
  if (!isCurrent()) return null;
  let state = readImageState(image, layer);
  let wantedNow = layer;
  let frame = 0;

  const at = shownImages.indexOf(number);
  const [before, after] = [shownImages[at - 1], shownImages[at + 1]];
  let list = null; // of all images; it is loaded when it is needed
  const details = () => image.layers[layerNumber.get(layer.name)];
  const mapOf = (other) => image.layers[layerNumber.get(other.name)].maps[state.explained];
  const map = () => mapOf(layer);
  const most = (other) => (state.scale === "all" ? Math.max(...site.layers.map((one) => mapOf(one).scale)) : mapOf(other).scale);
  const strongestHere = (place) => channelsAt(details(), state.order, map(), place);
  // The same view of another layer, and of another image.
  const layerHref = (other) => withState(imagePath(number, other), { ...Object.fromEntries(viewState()), group: null, at: state.place === null ? null : placeText(other, samePoint(layer, state.place, other)) });
  const imageHref = (other) => withState(imagePath(other, layer), keptState(viewState()));

  const head = make("div", {});
  const panel = make("aside", { class: "position", "aria-label": "channels at the selected position" });
  const question = make("div", { class: "question" });
  const tools = make("div", { class: "map-tools" });
  const under = make("div", { class: "under-stage" });
  const value = make("p", { class: "readout" });
  const groups = make("div", { class: "groups-place" });
  const around = make("div", { class: "around" });
  const alike = make("div", { class: "around alike" });
  const scaleTool = make("div", { class: "scale-tool" });
  const stage = makeStage(
    image,
    () => (frame = frame || requestAnimationFrame(showPlace)),
    (place) => keep({ place }),
    (place) => `${positionWords(layer, place)}: ${withUnit(attributionAt(map(), place))}, channels ${strongestHere(place).join(", ") || "none"}`,
  );
  const maps = layerMaps(image, layerHref, most, () => state.explained);

  // Changes the state, and the address with it.
  const keep = (changes) => {
    state = { ...state, ...changes };
    setViewState(writtenImageState(image, layer, state));
    maps.show(layer);
    showHead();
  };

  const showPlace = () => {
    frame = 0;
    value.replaceChildren(...readout(layer, details(), map(), stage.place(), image.explained[state.explained], state.order));
    panel.replaceChildren(
      make("h2", {}, positionWords(layer, stage.place()), stage.isPinned() ? make("span", { class: "quiet small on-screen" }, " pinned; click again to unpin") : ""),
      choices("order of channels", ORDERS, state.order, (order) => {
        keep({ order });
        stage.relabel();
        showPlace();
        showMap();
      }),
      make("p", { class: "quiet small" }, ...placeWords(image.explained[state.explained], state.order)),
      positionChannels(layer, numbers, strongestHere(stage.place())),
      ...(site.layers.length > SHORT_RAIL ? [] : [around]),
    );
    around.replaceChildren(...seenFrom(layer, image, details(), stage.place()), alike);
    showSamePlace();
  };

  // The list of all images may be large, so it waits until its place is in view.
  const listWanted = whenSeen(make("canvas", { class: "marker", width: 1, height: 1, "aria-hidden": "true" }), async () => {
    list = await loadList();
    showSamePlace();
  });
  const showSamePlace = () => alike.replaceChildren(...(list ? samePlace(layer, details(), stage.place(), list) : [listWanted]));

  const paint = () => paintStage(stage, { layer, numbers, details: details(), map: map(), most: most(layer), state, isCurrent: (shown) => shown.state === state });

  const showTools = () => {
    const redo = (changes) => {
      keep(changes);
      showMap();
      showPlace();
    };
    const modes = MODES.filter(([name]) => name !== "groups" || details().groups.length);
    tools.replaceChildren(
      choices("what lies over the image", modes, state.mode, (mode) => redo(mode === "sprites" ? { mode, order: "activation" } : { mode })),
      ...(state.mode === "original" ? [] : [opacityTool(state.opacity, (opacity) => {
        keep({ opacity });
        paint();
      })]),
    );
  };

  const showMap = () => {
    showTools();
    under.replaceChildren(
      make("div", { class: "figure-head" }, value, shareFigure(stage.node, { csv: () => positionTable(layer, details(), map()), name: `${image.name} ${layer.name} ${state.mode}` })),
      state.mode === "heat" ? heatLegend(most(layer)) : "",
      state.mode === "sprites" ? make("p", { class: "quiet small" }, semanticWords(layer, details(), state.order, map(), numbers)) : "",
    );
    groups.replaceChildren(imageGroups(layer, details(), state.group, state.mode === "groups", (group) => {
      keep({ mode: "groups", group });
      showMap();
    }));
    paint();
  };

  const showQuestion = () => {
    const options = image.explained.map((target, place) => [place, make("span", {}, ...explainedParts(target, nameOf))]);
    const redo = (changes) => {
      keep(changes);
      maps.repaint();
      showQuestion();
      stage.relabel();
      showMap();
      showPlace();
    };
    question.replaceChildren(make("span", { class: "quiet small" }, hasValues ? "Explained value" : "Evidence for"), choices("explained class", options, state.explained, (explained) => redo({ explained })));
    scaleTool.replaceChildren(
      choices("colour scale", SCALES, state.scale, (scale) => redo({ scale })),
      make("p", { class: "quiet small" }, scaleWords(state.scale)),
    );
  };

  const goal = (other) => (other === undefined ? null : { path: imageHref(other), title: `image ${shownImages.indexOf(other) + 1} of ${shownImages.length.toLocaleString("en")}` });
  const showHead = () => head.replaceChildren(make("header", { class: "bar" }, crumbs(homeLink(), make("a", { href: lastList }, "Images"), make("h1", { tabindex: -1 }, nameOf(image.name))), make("div", { class: "tools" }, copyLink(), turns("previous and next image", goal(before), goal(after)))));

  const showLayerOf = (isFirst = false) => {
    state = readImageState(image, layer);
    stage.setGrid({ width: layer.width, height: layer.height });
    if (state.place !== null) stage.choose(state.place);
    else if (isFirst) stage.choose(strongest(map()));
    document.title = `${image.name} · ${layer.name} · ${siteTitle}`;
    showHead();
    maps.show(layer);
    showQuestion();
    showMap();
    showPlace();
    if (state.place !== null && !stage.isPinned()) stage.pin(true);
  };

  root.className = "page report wide";
  root.replaceChildren(
    head,
    make("div", { class: "image-facts" }, make("div", {}, decision(image), question), predictions(image)),
    make("div", { class: "inspect" }, make("div", { class: "one-layer" }, tools, stage.node, under, groups, ...(site.layers.length > SHORT_RAIL ? [around] : [])), make("div", { class: "beside" }, make("section", { class: "all-layers" }, make("h2", {}, "All layers"), maps.node, scaleTool), panel)),
  );
  showLayerOf(true);
  const resized = new ResizeObserver(paint);
  resized.observe(stage.node);
  const open = (other) => () => other !== undefined && (window.location.hash = imageHref(other));
  const through = (by) => () => {
    const next = site.layers[layerNumber.get(layer.name) + by];
    if (next) window.location.hash = layerHref(next);
  };
  const follow = async (next) => {
    const loaded = await loadLayer(next);
    if (wantedNow !== next) return;
    [layer, numbers] = [next, loaded];
    const explained = state.explained;
    const { scale } = state;
    showLayerOf();
    if (explained !== state.explained || scale !== state.scale) maps.repaint();
  };
  return {
    close: () => {
      resized.disconnect();
      cancelAnimationFrame(frame);
    },
    follow: (page, name, layerName) => {
      const next = layerName === undefined ? site.layers[site.layers.length - 1] : site.layers[layerNumber.get(layerName)];
      if (page !== "image" || Number(name) !== number || !next) return false;
      wantedNow = next;
      follow(next).catch((error) => panel.replaceChildren(make("p", { class: "failure", role: "alert" }, error.message)));
      return true;
    },
    keys: { Escape: () => (stage.isPinned() ? stage.pin(false) : (window.location.hash = lastList)), ArrowLeft: open(before), ArrowRight: open(after), "[": through(-1), "]": through(1) },
  };
};

// The first selected position: the highest absolute attribution.
const strongest = (map) => map.values.reduce((best, value, place) => (Math.abs(value) > Math.abs(map.values[best]) ? place : best), 0);
