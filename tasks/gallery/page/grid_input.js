// What the keyboard, the pointer, the wheel and fingers do in a grid of sprites.

const gridInput = (grid) => {
  const { scroller } = grid;
  let pointer = null;
  let pinch = null;

  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { columns, rowPx } = grid.layout();
    const page = Math.max(1, Math.floor(scroller.clientHeight / rowPx)) * columns;
    const active = grid.active();
    const shown = grid.shown();
    const goals = {
      ArrowRight: active + 1,
      ArrowLeft: active - 1,
      ArrowDown: active + columns < shown.length ? active + columns : active,
      ArrowUp: active - columns >= 0 ? active - columns : active,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: shown.length - 1,
    };
    if (!(event.key in goals)) return;
    event.preventDefault();
    grid.activate(goals[event.key], { focus: true, scroll: true });
  };

  // Browsers repeat the pointer's position after scrolling, so events without movement are ignored.
  const onPointer = (event) => {
    if (event.pointerType === "touch" || (pointer && pointer.x === event.clientX && pointer.y === event.clientY)) return;
    pointer = { x: event.clientX, y: event.clientY };
    const place = grid.placeAt(pointer.x, pointer.y);
    if (place < 0) grid.tip.hide();
    else if (place !== grid.active() || grid.tip.node.hidden) grid.activate(place);
  };

  const onClick = (event) => {
    writeAddress(); // so that the way back leads here
    const place = grid.placeAt(event.clientX, event.clientY);
    if (event.target !== grid.cursor() && place >= 0) grid.follow(place);
  };

  const onWheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault(); // the browser would zoom the page
    grid.zoomTo(cellPx * Math.exp(-event.deltaY / 200));
  };

  const spread = (event) => Math.hypot(event.touches[0].clientX - event.touches[1].clientX, event.touches[0].clientY - event.touches[1].clientY);

  const onTouch = (event) => {
    if (event.touches.length !== 2) {
      pinch = null;
      return;
    }
    event.preventDefault();
    pinch = pinch || { spread: spread(event), cellPx };
    grid.zoomTo((pinch.cellPx * spread(event)) / pinch.spread);
  };

  scroller.addEventListener("scroll", () => {
    grid.tip.hide();
    grid.move();
  });
  scroller.addEventListener("keydown", onKey);
  scroller.addEventListener("pointermove", onPointer);
  scroller.addEventListener("pointerleave", grid.tip.hide);
  scroller.addEventListener("focusin", () => {
    const cursor = grid.cursor();
    if (cursor && !grid.isQuiet() && cursor.matches(":focus-visible")) grid.tip.show(tipLines(grid.shown()[grid.active()]), cursor.getBoundingClientRect());
  });
  scroller.addEventListener("focusout", grid.tip.hide);
  scroller.addEventListener("click", onClick);
  scroller.addEventListener("wheel", onWheel, { passive: false });
  for (const name of ["touchstart", "touchmove", "touchend"]) scroller.addEventListener(name, onTouch, { passive: false });
};
