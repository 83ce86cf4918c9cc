// Copies links, and saves figures and their data as files.

const COPIED_MS = 2000;
// Browsers treat each file as a site of its own, so a page that was opened from a file cannot read the pictures that it shows.
const FROM_FILE = "To save pictures, open this page with diamond-cutter browse: it was opened from a file, so the browser does not allow it.";
const BY_HAND = "Right-click the picture and choose “Save image as…”. To save it with one click, open this page with diamond-cutter browse.";

// Copies text; returns whether the browser allowed it.
const copyText = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
};

// Says on the button that the text was copied.
const tellCopied = (button, copied) => {
  button.dataset.words = button.dataset.words || button.textContent;
  button.textContent = copied ? "Copied" : "Copy it by hand";
  setTimeout(() => (button.textContent = button.dataset.words), COPIED_MS);
};

const copyTool = (text) => {
  const button = make("button", { type: "button", class: "copy", "aria-live": "polite", onclick: () => copyText(text).then((copied) => tellCopied(button, copied)) }, "Copy");
  return button;
};

// A command in the text, with a button that copies it.
// Each word by itself, so that marks of writing direction in a name do not reorder the rest of a command.
const wordsApart = (command) => command.split(/( )/).map((word) => (word === " " ? word : nameOf(word)));

const commandLine = (command) => make("span", { class: "command" }, make("code", {}, ...wordsApart(command)), copyTool(command));

// The address of the view with all its state.
const viewAddress = () => {
  writeAddress();
  return window.location.href;
};

const copyLink = () => {
  const button = make("button", { type: "button", class: "copy-link", "aria-live": "polite", onclick: () => copyText(viewAddress()).then((copied) => tellCopied(button, copied)) }, "Copy link");
  return button;
};

const saveFile = (name, blob) => {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
};

const fileNameOf = (name, suffix) => `${name.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|-+$/g, "") || "figure"}.${suffix}`;

// Saves a canvas as PNG; throws a SecurityError if the browser does not allow it.
const savePng = (name, canvas) => new Promise((resolve, reject) => {
  canvas.toBlob((blob) => {
    if (!blob) return reject(new Error("The picture is too large to save."));
    saveFile(fileNameOf(name, "png"), blob);
    return resolve();
  });
});

// Text that a spreadsheet would run as a formula is quoted.
const csvCell = (value) => {
  const text = value === null || value === undefined ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csvText = (rows) => rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");

const closeShare = (menu) => {
  menu.open = false;
  menu.querySelector("[role=status]").textContent = "";
};

// A menu that shares a figure. `png` returns a canvas, `svg` text, and `csv` rows of cells; each may return a promise. `note` returns a
// sentence to be shown when the menu opens.
const shareTools = ({ png = null, svg = null, csv = null, name, note = () => "" }) => {
  const status = make("p", { class: "share-status", role: "status" });
  const entry = (words, act) => make("li", {}, make("button", { type: "button", onclick: () => act().catch((error) => (status.textContent = error.name === "SecurityError" ? FROM_FILE : error.message)) }, words));
  const link = async () => {
    status.textContent = (await copyText(viewAddress())) ? "The link was copied." : "Copy the address of this page by hand: the browser does not allow it.";
  };
  const picture = async () => {
    const canvas = await png();
    try {
      await savePng(name, canvas);
    } catch (error) {
      if (error.name !== "SecurityError") throw error;
      closeShare(menu);
      openPicture({ title: name, canvas, note: BY_HAND });
    }
  };
  const entries = [
    entry("Copy link", link),
    ...(png ? [entry("Save as PNG", picture)] : []),
    ...(svg ? [entry("Save as SVG", async () => saveFile(fileNameOf(name, "svg"), new Blob([await svg()], { type: "image/svg+xml" })))] : []),
    ...(csv ? [entry("Data as CSV", async () => saveFile(fileNameOf(name, "csv"), new Blob([csvText(await csv())], { type: "text/csv" })))] : []),
  ];
  const menu = make("details", { class: "share" }, make("summary", {}, "Share", make("span", { class: "unseen" }, ` ${name}`)), make("div", { class: "share-menu" }, make("ul", {}, ...entries), status));
  menu.addEventListener("toggle", () => menu.open && (status.textContent = note()));
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    event.preventDefault();
    closeShare(menu);
    menu.querySelector("summary").focus();
  });
  // The menu opens to the left, unless it would leave the window.
  menu.addEventListener("toggle", () => {
    const box = menu.querySelector(".share-menu");
    box.style.removeProperty("right");
    if (box.getBoundingClientRect().left < 0) box.style.right = `${menu.getBoundingClientRect().width - box.getBoundingClientRect().width}px`;
  });
  return menu;
};

// Whether the browser lets the page read the pictures of a figure.
const areReadable = (figure) => {
  const probe = make("canvas", { width: 1, height: 1 });
  const context = probe.getContext("2d");
  for (const picture of figure.querySelectorAll("img, canvas")) if (picture.naturalWidth ?? picture.width) context.drawImage(picture, 0, 0, 1, 1);
  try {
    return Boolean(probe.toDataURL());
  } catch {
    return false;
  }
};

// The menu of a figure that is saved as it looks.
const shareFigure = (figure, { name, csv = null }) => {
  const note = () => (areReadable(figure) ? "" : FROM_FILE);
  return shareTools({ png: () => figureCanvas(figure), svg: () => figureSvg(figure), csv, name, note });
};

document.addEventListener("pointerdown", ({ target }) => {
  for (const menu of document.querySelectorAll(".share[open]")) if (!menu.contains(target)) closeShare(menu);
});
