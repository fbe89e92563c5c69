// Draws a number as a row of 24 cells, 16 CSS pixels wide and high, at the bottom left of the page: white is 1,
// black is 0, the most significant bit comes first; it is read back from the recorded pixels (`media.number`).
const CELL = 16, BITS = 24;

export function numberRow() {
  const canvas = document.createElement("canvas");
  canvas.width = CELL * BITS;
  canvas.height = CELL;
  canvas.style = "position:fixed;left:0;bottom:0;z-index:9";
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  return (number) => {
    for (let bit = 0; bit < BITS; bit++) {
      context.fillStyle = (number >> (BITS - 1 - bit)) & 1 ? "#fff" : "#000";
      context.fillRect(bit * CELL, 0, CELL, CELL);
    }
  };
}

// Keeps what was drawn, as [number, Unix time in ms], and tells the server of it once a second.
export function list() {
  let told = [];
  const tell = () => {
    if (told.length) navigator.sendBeacon("/drawn", JSON.stringify(told));
    told = [];
  };
  setInterval(tell, 1000);
  addEventListener("pagehide", tell);
  return (number, now) => told.push([number, performance.timeOrigin + now]);
}
