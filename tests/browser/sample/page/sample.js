// A page that shows every shared part once.

const square = (colour) => {
  const canvas = make("canvas", { width: 50, height: 50 });
  const context = canvas.getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 50, 50);
  return canvas;
};

const showSample = (root, parts, isCurrent, state) => {
  root.className = "page";
  const words = make("output", { id: "words" }, JSON.stringify([...state]));
  const bars = makeDrawn("svg", { width: 100, height: 40, "aria-hidden": "true" }, makeDrawn("rect", { x: 0, y: 10, width: 60, height: 20, fill: "#ff0000" }), makeDrawn("text", { x: 62, y: 25, fill: "#0000ff" }, "six"));
  const plot = make("div", { class: "plot", id: "plot" }, make("p", {}, "A figure <of> two parts"), square("#00ff00"), bars);
  const framed = make("div", {}, make("img", { src: "picture.png", alt: "" }));
  const command = spritesCommand("cat's net", "head", 3);
  root.replaceChildren(
    make("h1", {}, "Parts"),
    words,
    make("button", { id: "sort", onclick: () => setViewState({ sort: "mean", at: "8,6" }) }, "Sort"),
    make("a", { href: withState("#/?sort=mean", { sort: null, group: 2 }) }, "group 2"),
    make("div", { class: "figure-head" }, make("h2", {}, "A ", term("logit", "logit")), copyLink(), printTool(), shareFigure(plot, { name: "Plot of parts", csv: () => [["name", "value"], ["=1+1", -2], ['say "a, b"', null]] })),
    plot,
    make("div", {}, shareFigure(framed, { name: "photo" }), framed),
    make("p", {}, ...Object.keys(VERDICTS).flatMap((verdict) => [verdictChip(verdict), " "])),
    make("div", { class: "slot" }, missingSprite({ command })),
    make("div", { class: "slot" }, missingSprite({ exampleOf: square("#808080"), command })),
    commandLine(command),
    make("div", { class: "slot", id: "flagged" }, withFlags(square("#111111"), ["grey", "not_finite"])),
    make("button", { id: "enlarge", onclick: () => openPicture({ title: "channel 3", draw: (canvas) => canvas.getContext("2d").fillRect(0, 0, 10, 10), caption: "A sprite." }) }, "Enlarge"),
    whenSeen(make("canvas", { class: "far", id: "far" }), (canvas) => canvas.getContext("2d").fillRect(0, 0, 1, 1)),
    make("output", { id: "part" }, JSON.stringify(sheetPart({ file: "a.webp", columns: 2, cell_px: 8, cells: 4, more: ["b.webp"] }, 5))),
    glossarySection(["score", "logit"]),
  );
  document.title = "Sample";
  return {
    close: () => {},
    follow: () => {
      words.textContent = JSON.stringify([...viewState()]);
      return true;
    },
    keys: { Escape: () => (words.textContent = "Escape reached the page") },
  };
};

startRoutes(showSample);
