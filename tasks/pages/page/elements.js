// Makes elements of the page. Strings become text, and are never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

const makeDrawn = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// An untrusted name, isolated so that its marks of writing direction do not affect the text around it.
const nameOf = (text) => make("bdi", {}, text);

// "fast@53691d82": the name, and its hash in a quieter style.
const keyOf = (key) => {
  const at = key.lastIndexOf("@");
  return at < 0 ? [nameOf(key)] : [nameOf(key.slice(0, at)), " ", make("span", { class: "hash" }, key.slice(at + 1))];
};

// A key as a URL. Folder names contain + and @, which have a meaning to some servers.
const urlOf = (file) => file.split("/").map(encodeURIComponent).join("/");

const canvasFor = (widthPx, heightPx, attributes = {}) => {
  const scale = window.devicePixelRatio || 1;
  const canvas = make("canvas", { width: Math.round(widthPx * scale), height: Math.round(heightPx * scale), ...attributes });
  canvas.style.width = `${widthPx}px`;
  canvas.style.height = `${heightPx}px`;
  return canvas;
};
