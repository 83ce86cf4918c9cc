// Draws everything before the page is printed.

const loadEverything = () =>
  Promise.all(
    [...document.images].map((image) => {
      image.loading = "eager";
      return image.decode().catch(() => {}); // a missing picture does not stop the printing
    }),
  );

// Browsers do not wait here. What is loaded is drawn in time; the button below waits for the rest.
window.addEventListener("beforeprint", drawEverything);

const printTool = () => {
  const print = async () => {
    button.disabled = true;
    await Promise.all([drawEverything(), loadEverything()]);
    button.disabled = false;
    window.print();
  };
  const button = make("button", { type: "button", class: "print-tool", onclick: print }, "Print");
  return button;
};
