// A sprite or an image, enlarged in a dialog.

const drawFile = async (canvas, src) => {
  const image = new Image();
  image.src = src;
  await image.decode();
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
};

// Opens a picture. Give its `canvas`; or `draw(canvas)`, which sets the size of the canvas and paints it, and may return a promise; or the
// `src` of an image file. The picture is saved in its own size. When the dialog closes, the focus returns.
const openPicture = ({ title, canvas = make("canvas"), draw = null, src = null, caption = "", fileName = title, note = "" }) => {
  const status = make("p", { class: "quiet small", role: "status" }, note);
  const size = make("span", { class: "quiet small" });
  const save = () => savePng(fileName, canvas).catch((error) => (status.textContent = error.name === "SecurityError" ? BY_HAND : error.message));
  const download = note ? "" : make("button", { type: "button", onclick: () => new Promise((resolve) => resolve(save())) }, "Download PNG");
  const dialog = make(
    "dialog",
    { class: "picture-dialog", "aria-label": title },
    make("header", { class: "bar" }, make("h2", {}, nameOf(title)), make("div", { class: "tools" }, size, download, make("button", { type: "button", class: "icon", "aria-label": "close", onclick: () => dialog.close() }, "×"))),
    canvas,
    caption ? make("p", {}, caption) : "",
    status,
  );
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", title);
  canvas.setAttribute("aria-busy", "true");
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside the picture
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page has keys of its own
  document.body.append(dialog);
  dialog.showModal();
  const drawn = draw ? draw(canvas) : src ? drawFile(canvas, src) : null;
  Promise.resolve(drawn)
    .then(() => {
      size.textContent = `${canvas.width} × ${canvas.height} px`;
      dialog.style.setProperty("--shape", canvas.width / canvas.height);
    })
    .catch(() => (status.textContent = "The picture could not be loaded."))
    .finally(() => canvas.removeAttribute("aria-busy"));
  return dialog;
};
