// Charts: one unit, one axis from zero, at most three lines, gaps are gaps.

import { useEffect, useRef } from "preact/hooks";
import { hourMinute, number, timeOfDay } from "./format.js";
import { series, tick, times } from "./store.js";
import { html } from "./ui.js";

/** What a colour of the style sheet is in the theme that is shown. */
function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600];

/**
 * Lines over the last 15 minutes.
 * @param {{title: string, unit: string, format?: (v: number) => string, height?: number,
 *   lines: {label: string, name: string, color: string, fill?: string, dash?: number[],
 *   width?: number}[]}} props `name` is a series of the history.
 */
export function Chart({ title, unit, lines, format = number, axis = format, height = 150 }) {
  const box = useRef();
  const key = lines.map((line) => line.name).join();
  useEffect(() => {
    const element = box.current;
    let plot = null;
    const data = () => [times(), ...lines.map((line) => series(line.name))];
    const make = () => {
      plot?.destroy();
      plot = new uPlot(options(lines, element.clientWidth, height, axis), data(), element);
      plot.root.querySelector("canvas").setAttribute("aria-hidden", "true");
    };
    make();
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    const repainted = new MutationObserver(make);
    repainted.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", make);
    const stop = tick.subscribe(() => plot.setData(data()));
    return () => {
      stop();
      resized.disconnect();
      repainted.disconnect();
      system.removeEventListener("change", make);
      plot.destroy();
    };
  }, [key, height]);
  tick.value; // the labels' numbers change with it
  const now = (line) => format(series(line.name).at(-1));
  const text = lines.map((line) => `${line.label} now ${now(line)}`).join(", ");
  return html`<figure class="chart">
    <figcaption>
      <span class="title">${title}</span><span class="muted">${unit}</span>
      <span class="grow"></span>
      ${lines.map(
        (line) => html`<span class="key" key=${line.name}><${Swatch} line=${line} />${line.label} <b>${now(line)}</b></span>`,
      )}
    </figcaption>
    <div class="plot" ref=${box} role="img" aria-label=${`${title}, ${unit}: ${text}`}></div>
  </figure>`;
}

const Swatch = ({ line }) =>
  html`<svg class="swatch" width="16" height="6" aria-hidden="true">
    <line
      x1="0"
      x2="16"
      y1="3"
      y2="3"
      stroke=${`var(${line.color})`}
      stroke-width=${line.width || 1.5}
      stroke-dasharray=${(line.dash || []).join(" ")}
    />
  </svg>`;

function options(lines, width, height, format) {
  const common = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      {
        ...common,
        space: 80,
        size: 24,
        incrs: STEPS,
        grid: { show: false },
        values: (_, values, index, space, step) => values.map(step < 60 ? timeOfDay : hourMinute),
      },
      { ...common, space: 26, size: 48, values: (_, values) => values.map((v) => format(v)) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        stroke: colour(line.color),
        width: line.width || 1.5,
        dash: line.dash,
        fill: line.fill && colour(line.fill),
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

/** A line of the last numbers, without axes; what it says is beside it as text. */
export function Spark({ data, width = 96, height = 18, kind = "" }) {
  const known = data.filter((value) => value != null);
  if (known.length < 2) return html`<svg class="spark" width=${width} height=${height} aria-hidden="true"></svg>`;
  const high = Math.max(...known, 0);
  const scale = high || 1;
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
