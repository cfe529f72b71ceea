// A layer of the map that draws every driver who is not in a cluster: one buffer, two calls, whatever their number. The map
// is flat and points north, so that a place on screen is (mercator - centre) × scale.

import { STATES, STRIDE } from "./fleet.js";

/** @import {Map as MapLibreMap} from "maplibre-gl" */
/**
 * @typedef {ReturnType<typeof import("./fleet.js").createFleet>} Fleet
 * @typedef {[number, number, number]} Colour 0 to 1
 * @typedef {{colours: Colour[], edge: Colour}} Look one colour per state
 */

/** Radius of a driver's dot in pixels; the quad has room for the arrow and the edge. */
export const DOT_PX = 6;
const QUAD_PX = 15;

const VERTEX = `#version 300 es
in vec2 corner; in vec2 place; in vec4 about;
uniform vec2 centre; uniform float scale; uniform vec2 viewport; uniform float quad; uniform float now; uniform float circle;
out vec2 at; out float radius; out float fade; flat out int state; flat out float heading;
void main() {
  state = int(about.w + 0.5);
  heading = about.x;
  // How sure the position is: its accuracy in pixels, fading with its age.
  radius = about.y * scale;
  fade = clamp(1.0 - (now - about.z) / 120.0, 0.0, 1.0);
  float half_side = circle > 0.5 ? min(radius, 400.0) + 1.5 : quad;
  if (circle > 0.5 && (radius < 10.0 || fade <= 0.0)) half_side = 0.0;
  at = corner * half_side;
  vec2 pixel = (place - centre) * scale + at;
  gl_Position = vec4(pixel.x * 2.0 / viewport.x, -pixel.y * 2.0 / viewport.y, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 at; in float radius; in float fade; flat in int state; flat in float heading;
uniform vec3 colours[${STATES.length}]; uniform vec3 edge; uniform float dot_radius; uniform float circle;
out vec4 colour;
float cover(float distance) { return clamp(0.5 - distance, 0.0, 1.0); }
void main() {
  vec3 fill = colours[state];
  float far = length(at);
  if (circle > 0.5) {
    float inside = cover(far - min(radius, 400.0));
    float rim = cover(abs(far - min(radius, 400.0)) - 0.7);
    float alpha = (inside * 0.13 + rim * 0.4) * fade;
    colour = vec4(fill * alpha, alpha);
    return;
  }
  // An arrow in front of the dot says where it is heading.
  float shape = far - dot_radius;
  if (heading >= 0.0) {
    float s = sin(heading), c = cos(heading);
    vec2 turned = vec2(at.x * c + at.y * s, at.x * -s + at.y * c);
    float along = -turned.y;
    float tip = max(abs(turned.x) * 0.8 + (along - dot_radius * 1.75) * 0.6, dot_radius * 0.3 - along);
    shape = min(shape, tip);
  }
  float outer = cover(shape - 1.5);
  float inner = cover(shape);
  // Silent and off duty are rings: told apart without colour as well.
  float hollow = (state == 3 || state == 4) ? cover(far - dot_radius * 0.45) : 0.0;
  float cross_ = state == 5 ? cover(min(abs(at.x - at.y), abs(at.x + at.y)) / 1.414 - 1.0) * cover(far - dot_radius * 0.7) : 0.0;
  float full = state == 2 ? cover(max(abs(at.x), abs(at.y)) - dot_radius * 0.36) : 0.0;
  vec3 shown = mix(edge, fill, inner);
  shown = mix(shown, edge, max(max(hollow, cross_), full));
  colour = vec4(shown * outer, outer);
}`;

/** @param {WebGL2RenderingContext} gl @param {number} kind @param {string} source */
function shader(gl, kind, source) {
  const made = /** @type {WebGLShader} */ (gl.createShader(kind));
  gl.shaderSource(made, source);
  gl.compileShader(made);
  if (!gl.getShaderParameter(made, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(made) ?? "shader");
  return made;
}

/**
 * @param {Fleet} fleet
 * @param {() => {now: number, look: Look}} ask the server's time in seconds, and the colours
 */
export function createFleetLayer(fleet, ask) {
  /** @type {WebGLProgram | null} */
  let program = null;
  /** @type {WebGLBuffer | null} */
  let instances = null;
  /** @type {WebGLVertexArrayObject | null} */
  let array = null;
  /** @type {Record<string, WebGLUniformLocation | null>} */
  let uniforms = {};
  /** @type {MapLibreMap | null} */
  let map = null;
  let stale = true;

  return {
    id: "drivers",
    /** @type {"custom"} */
    type: "custom",
    /** @type {"2d"} */
    renderingMode: "2d",

    /** What `fleet.packed` holds has changed. */
    changed() {
      stale = true;
      map?.triggerRepaint();
    },

    /** @param {MapLibreMap} into @param {WebGL2RenderingContext} gl */
    onAdd(into, gl) {
      map = into;
      stale = true;
      program = gl.createProgram();
      gl.attachShader(program, shader(gl, gl.VERTEX_SHADER, VERTEX));
      gl.attachShader(program, shader(gl, gl.FRAGMENT_SHADER, FRAGMENT));
      gl.linkProgram(program);
      if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "program");
      uniforms = {};
      for (const name of ["centre", "scale", "viewport", "quad", "now", "circle", "colours", "edge", "dot_radius"]) {
        uniforms[name] = gl.getUniformLocation(program, name);
      }
      array = gl.createVertexArray();
      gl.bindVertexArray(array);
      const corners = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, corners);
      gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
      const corner = gl.getAttribLocation(program, "corner");
      gl.enableVertexAttribArray(corner);
      gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
      instances = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, instances);
      for (const [name, length, offset] of /** @type {const} */ ([
        ["place", 2, 0],
        ["about", 4, 2],
      ])) {
        const where = gl.getAttribLocation(program, name);
        gl.enableVertexAttribArray(where);
        gl.vertexAttribPointer(where, length, gl.FLOAT, false, STRIDE * 4, offset * 4);
        gl.vertexAttribDivisor(where, 1);
      }
      gl.bindVertexArray(null);
    },

    /** @param {MapLibreMap} _map @param {WebGL2RenderingContext} gl */
    onRemove(_map, gl) {
      gl.deleteProgram(program);
      gl.deleteBuffer(instances);
      gl.deleteVertexArray(array);
      map = null;
    },

    /** @param {WebGL2RenderingContext | WebGLRenderingContext} context */
    render(context) {
      const gl = /** @type {WebGL2RenderingContext} */ (context);
      if (!map || !program || !fleet.packedCount) return;
      const { now, look } = ask();
      const canvas = map.getCanvas();
      const centre = map.getCenter();
      const sine = Math.sin((centre.lat * Math.PI) / 180);
      const x = (centre.lng + 180) / 360 - fleet.origin.x;
      const y = 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) - fleet.origin.y;
      gl.useProgram(program);
      gl.bindVertexArray(array);
      if (stale) {
        gl.bindBuffer(gl.ARRAY_BUFFER, instances);
        gl.bufferData(gl.ARRAY_BUFFER, fleet.packed.subarray(0, fleet.packedCount * STRIDE), gl.DYNAMIC_DRAW);
        stale = false;
      }
      gl.uniform2f(uniforms.centre ?? null, x, y);
      gl.uniform1f(uniforms.scale ?? null, 512 * 2 ** map.getZoom());
      gl.uniform2f(uniforms.viewport ?? null, canvas.clientWidth, canvas.clientHeight);
      gl.uniform1f(uniforms.quad ?? null, QUAD_PX);
      gl.uniform1f(uniforms.now ?? null, now - fleet.epoch);
      gl.uniform3fv(uniforms.colours ?? null, look.colours.flat());
      gl.uniform3fv(uniforms.edge ?? null, look.edge);
      gl.uniform1f(uniforms.dot_radius ?? null, DOT_PX);
      gl.disable(gl.DEPTH_TEST);
      gl.disable(gl.STENCIL_TEST);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      for (const circle of [1, 0]) {
        gl.uniform1f(uniforms.circle ?? null, circle);
        gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, fleet.packedCount);
      }
      gl.bindVertexArray(null);
    },
  };
}
