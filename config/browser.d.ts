// Types of the browser libraries under the paths that our modules import (config/static.py, LIBRARIES).
declare module "*/node_modules/maplibre-gl/dist/maplibre-gl.mjs" {
  export * from "maplibre-gl";
}
declare module "*/node_modules/uplot/dist/uPlot.esm.js" {
  import uPlot from "uplot";
  export default uPlot;
}
