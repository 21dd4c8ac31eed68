// Charts: one unit, one axis from zero, at most three lines, gaps are gaps.

import { useEffect, useRef, useState } from "preact/hooks";
import { hourMinute, number, timeOfDay } from "./format.js";
import { series, tick, times } from "./store.js";
import { html } from "./ui.js";

const LEFT = 48;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 22;

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

/**
 * Lines over the last 15 minutes. Under the pointer the labels have the values of then.
 * @param {{title: string, unit: string, format?: (v: number) => string, height?: number,
 *   lines: {label: string, name: string, color: string, fill?: string, dash?: number[],
 *   width?: number}[]}} props `name` is a series of the history.
 */
export function Chart({ title, unit, lines, format = number, axis = format, height = 150 }) {
  const box = useRef();
  const [width, setWidth] = useState(0);
  const [pointed, setPointed] = useState(null);
  useEffect(() => {
    const element = box.current;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  tick.value; // all of it changes with that
  const drawn = lines.map((line) => ({ ...line, values: series(line.name) }));
  const scales = scalesOf(times(), drawn, width, height);
  const at = pointed === null || times().length < 2 ? null : nearest(times(), scales, pointed);
  const said = (line) => format(line.values.at(at ?? -1));
  const text = drawn.map((line) => `${line.label} now ${format(line.values.at(-1))}`).join(", ");
  return html`<figure class="chart">
    <figcaption>
      <span class="title">${title}</span><span class="muted">${unit}${at !== null && ` at ${timeOfDay(times()[at])}`}</span>
      <span class="grow"></span>
      ${drawn.map(
        (line) => html`<span class="key" key=${line.name}><${Swatch} line=${line} />${line.label} <b>${said(line)}</b></span>`,
      )}
    </figcaption>
    <div
      class="plot"
      ref=${box}
      role="img"
      aria-label=${`${title}, ${unit}: ${text}`}
      onPointerMove=${(e) => setPointed(e.clientX - e.currentTarget.getBoundingClientRect().left)}
      onPointerLeave=${() => setPointed(null)}
    >
      <svg width=${width} height=${height} aria-hidden="true">
        <${Axes} scales=${scales} axis=${axis} width=${width} height=${height} />
        ${drawn.map((line) => html`<${Line} key=${line.name} line=${line} scales=${scales} />`)}
        ${at !== null && html`<path class="pointer" d=${`M${scales.x(times()[at])} ${TOP}V${height - BOTTOM}`} />`}
      </svg>
    </div>
  </figure>`;
}

const Swatch = ({ line }) => html`<svg class="swatch" width="16" height="6" aria-hidden="true"><path d="M0 3H16" ...${strokeOf(line)} /></svg>`;

const strokeOf = ({ color, width = 1.5, dash = [] }) => ({
  fill: "none",
  stroke: `var(${color})`,
  "stroke-width": width,
  "stroke-dasharray": dash.join(" "),
});

/** Where times and values are, and the values that get a line across. */
function scalesOf(t, lines, width, height) {
  const [first, last] = [t[0] ?? 0, t.at(-1) ?? 0];
  const highest = lines.flatMap((line) => line.values).reduce((a, b) => (b > a ? b : a), 0) || 1;
  const across = (width - LEFT - RIGHT) / Math.max(1, last - first);
  const up = (height - TOP - BOTTOM) / (highest * 1.08);
  const step = valueStep(26 / up);
  const levels = [];
  for (let i = 0; i * step <= highest * 1.08; i += 1) levels.push(i * step);
  return {
    t,
    first,
    last,
    across,
    levels,
    x: (time) => LEFT + (time - first) * across,
    y: (value) => height - BOTTOM - value * up,
  };
}

/** The least of 1, 2, 5, 10, 20... that is not below *least*. */
function valueStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999);
}

const nearest = (t, { first, across }, pixel) => {
  const time = first + (pixel - LEFT) / across;
  const after = t.findIndex((one) => one >= time);
  return after < 0 ? t.length - 1 : after;
};

function Axes({ scales, axis, width, height }) {
  const { first, last, across, levels, x, y } = scales;
  const step = TIME_STEPS.find((one) => one * across >= 80) || TIME_STEPS.at(-1);
  const clock = step < 60 ? timeOfDay : hourMinute;
  const moments = [];
  for (let at = Math.ceil(first / step) * step; at <= last; at += step) {
    if (x(at) > LEFT + 20 && x(at) < width - 24) moments.push(at);
  }
  return html`<g class="axes">
    ${levels.map((level) => html`<path key=${level} d=${`M${LEFT} ${y(level)}H${width - RIGHT}`} /><text x=${LEFT - 8} y=${y(level) + 4} text-anchor="end">${axis(level)}</text>`)}
    ${moments.map((at) => html`<text key=${at} x=${x(at)} y=${height - 6} text-anchor="middle">${clock(at)}</text>`)}
  </g>`;
}

function Line({ line, scales }) {
  const { t, x, y } = scales;
  let path = "";
  let area = "";
  let began = null;
  const end = (i) => {
    if (began !== null && line.fill) area += `L${x(t[i])} ${y(0)}H${x(t[began])}Z`;
    began = null;
  };
  line.values.forEach((value, i) => {
    if (value == null) return end(i - 1);
    const point = `${began === null ? "M" : "L"}${x(t[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    began ??= i;
    path += point;
    area += line.fill ? point : "";
  });
  end(t.length - 1);
  return html`<g>
    ${line.fill && html`<path d=${area} fill=${`var(${line.fill})`} />`}
    <path d=${path} ...${strokeOf(line)} stroke-linejoin="round" />
  </g>`;
}

/** A line of the last numbers, without axes; what it says is beside it as text. */
export function Spark({ data, width = 96, height = 18, kind = "" }) {
  const known = data.filter((value) => value != null);
  if (known.length < 2) return html`<svg class="spark" width=${width} height=${height} aria-hidden="true"></svg>`;
  const scale = Math.max(...known, 0) || 1;
  let path = "";
  let pen = "M";
  data.forEach((value, i) => {
    if (value == null) {
      pen = "M";
      return;
    }
    const x = (i / (data.length - 1)) * width;
    const y = height - 2 - (value / scale) * (height - 4);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  });
  return html`<svg class=${`spark ${kind}`} width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
    <path d=${path} fill="none" stroke="currentColor" stroke-width="1.25" />
  </svg>`;
}
