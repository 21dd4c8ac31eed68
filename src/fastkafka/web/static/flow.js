// The app as a graph: topics feed functions, functions write to topics.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import dagre from "@dagrejs/dagre";
import { number, percentile, perSecond } from "./format.js";
import { app, link, numbers } from "./store.js";
import { html } from "./ui.js";

export const MUCH_LAG = 1000;
const LATE_SECONDS = 30;
const DEAD = "dead letters";

const SIZES = { t: [168, 50], f: [180, 62], p: [168, 46] };

/** Whether a topic's lag is worth a colour. */
export const isLate = (topic) =>
  topic !== undefined && topic.lag > MUCH_LAG && topic.age > LATE_SECONDS;

function layout(shape) {
  const graph = new dagre.graphlib.Graph({ multigraph: true })
    .setGraph({ rankdir: "LR", nodesep: 18, ranksep: 70, marginx: 2, marginy: 2 })
    .setDefaultEdgeLabel(() => ({}));
  const add = (kind, name) => {
    const [width, height] = SIZES[kind];
    graph.setNode(`${kind}:${name}`, { width, height });
  };
  shape.topics.forEach((topic) => add("t", topic.name));
  shape.functions.forEach((fn) => add("f", fn.name));
  shape.producers
    .filter((p) => shape.edges.some((edge) => edge.from === `p:${p.name}`))
    .forEach((p) => add("p", p.name));
  shape.edges.forEach((edge, index) => {
    const width = edge.via ? Math.min(150, 24 + edge.via.length * 6.6) : 0;
    graph.setEdge(edge.from, edge.to, { index, via: edge.via, width, height: 14, labelpos: "c" }, String(index));
  });
  dagre.layout(graph);
  const { width, height } = graph.graph();
  return {
    width: Math.max(width, 1),
    height: Math.max(height, 1),
    nodes: graph.nodes().map((id) => [id, graph.node(id)]),
    edges: graph.edges().map((edge) => graph.edge(edge)),
  };
}

function curve(points) {
  let path = `M${points[0].x},${points[0].y}`;
  for (let i = 1; i < points.length; i += 1) {
    const [a, b] = [points[i - 1], points[i]];
    const middle = (a.x + b.x) / 2;
    path += ` C${middle},${a.y} ${middle},${b.y} ${b.x},${b.y}`;
  }
  return path;
}

export function Flow() {
  const shape = app.value;
  const now = numbers.value;
  const picture = useMemo(() => layout(shape), [shape]);
  const box = useRef();
  const [scale, setScale] = useState(1);
  useEffect(() => {
    const element = box.current;
    const fit = () => setScale(Math.min(1.12, Math.max(0.7, element.clientWidth / picture.width)));
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, [picture]);
  const size = { width: `${picture.width}px`, height: `${picture.height}px` };
  return html`<div class="flow" ref=${box} style=${{ height: `${picture.height * scale + 4}px` }} tabindex="0" role="group" aria-label="Flow">
    <div class="canvas" style=${{ ...size, transform: `scale(${scale})` }}>
      <svg width=${picture.width} height=${picture.height} aria-hidden="true">
        <defs>
          <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
            <path d="M0 0.5 7 4 0 7.5z" />
          </marker>
        </defs>
        ${picture.edges.map((edge) => html`<${Line} key=${edge.index} edge=${edge} rate=${now.edges[edge.index] || 0} />`)}
      </svg>
      ${picture.edges
        .filter((edge) => edge.via)
        .map(
          (edge) => html`<span class="via" key=${edge.index} style=${{ left: `${edge.x}px`, top: `${edge.y}px`, maxWidth: `${edge.width}px` }}>
            ${edge.via === DEAD ? DEAD : html`<code>${edge.via}</code>`}
          </span>`,
        )}
      ${picture.nodes.map(([id, at]) => html`<${Node} key=${id} id=${id} at=${at} shape=${shape} now=${now} />`)}
    </div>
  </div>`;
}

function Line({ edge, rate }) {
  const kind = edge.via === DEAD ? "dead" : rate < 0.05 ? "idle" : "";
  const width = Math.max(1, Math.min(5, Math.log10(rate + 1) * 1.5));
  return html`<g class=${`edge ${kind}`}>
    <path d=${curve(edge.points)} marker-end="url(#arrow)" stroke-width=${width} />
  </g>`;
}

function Node({ id, at, shape, now }) {
  const name = id.slice(2);
  const style = {
    left: `${at.x - at.width / 2}px`,
    top: `${at.y - at.height / 2}px`,
    width: `${at.width}px`,
    height: `${at.height}px`,
  };
  if (id[0] === "f") return html`<${FunctionNode} name=${name} style=${style} v=${now.functions.get(name) || {}} />`;
  if (id[0] === "p") {
    return html`<div class="node fn" style=${style}>
      <code>${name}</code><span class="row"><b>${perSecond(now.producers.get(name))}</b><span>produces</span></span>
    </div>`;
  }
  const topic = shape.topics.find((t) => t.name === name);
  return html`<${TopicNode} topic=${topic} style=${style} v=${now.topics.get(name) || {}} />`;
}

function FunctionNode({ name, style, v }) {
  const full = v.capacity > 1 && v.busy >= v.capacity;
  return html`<a class=${`node fn ${v.failed ? "hot" : ""}`} style=${style} href=${link("functions", name)}>
    <code>${name}</code>
    <span class="row"><b>${perSecond(v.rate)}</b><span>p95 ${percentile(v.p95)}</span></span>
    <span class="row">
      <span class=${full ? "warn" : ""}>${v.busy ?? 0} of ${v.capacity ?? "–"} busy</span>
      ${v.failed > 0 && html`<span class="bad">${number(v.failed)} failed</span>`}
    </span>
  </a>`;
}

function TopicNode({ topic, style, v }) {
  const late = isLate(v);
  const dead = topic.role === "dead_letters";
  const what = dead
    ? html`<span class=${v.parked ? "bad" : ""}>${v.parked == null ? "dead letters" : `${number(v.parked)} parked`}</span>`
    : v.lag == null
      ? html`<span>${topic.partitions == null ? "" : `${topic.partitions} partitions`}</span>`
      : html`<span class=${late ? "warn" : ""}>lag ${number(v.lag)}</span>`;
  return html`<a class=${`node topic ${dead && v.parked ? "dlt" : ""} ${late ? "late" : ""}`} style=${style} href=${dead ? link("failures") : link("topics", topic.name)}>
    <span class="name">${topic.name}</span>
    <span class="row"><b>${perSecond(v.rate)}</b>${what}</span>
  </a>`;
}
