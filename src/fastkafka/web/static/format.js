// Numbers, times and sizes as people read them: three significant digits, units said.

/** @param {number | null | undefined} value */
export function number(value) {
  if (value == null) return "–";
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  if (value >= 1e6) return `${(value / 1e6).toPrecision(3)} M`;
  if (value >= 1e4) return `${(value / 1e3).toPrecision(3)} k`;
  if (value >= 100) return Math.round(value).toLocaleString("en");
  if (value >= 10 || Number.isInteger(value)) return String(Math.round(value));
  return value.toFixed(1);
}

/** A whole number, all of its digits. */
export const whole = (value) => (value == null ? "–" : value.toLocaleString("en"));

export const perSecond = (value) => (value == null ? "" : `${number(value)}/s`);

/** Seconds, in the unit that fits. */
export function duration(seconds) {
  if (seconds == null) return "–";
  if (seconds === 0) return "0 s";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 0.01) return `${(seconds * 1e3).toFixed(1)} ms`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(0)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** A percentile of the histogram, whose first bucket ends at 5 ms, its last at 10 s. */
export function percentile(seconds) {
  if (seconds == null) return "–";
  if (seconds <= 0.005) return "< 5 ms";
  return seconds >= 10 ? "> 10 s" : duration(seconds);
}

/** How long ago a moment was, in epoch seconds. */
export function ago(time, now = Date.now() / 1000) {
  const seconds = Math.max(0, now - time);
  if (seconds < 1.5) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

const two = (value) => String(value).padStart(2, "0");

/** The local time of day, with milliseconds. */
export function clock(time) {
  const date = new Date(time * 1000);
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${hourMinute(time)}:${two(date.getSeconds())}.${milliseconds}`;
}

export function hourMinute(time) {
  const date = new Date(time * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}

export function timeOfDay(time) {
  return `${hourMinute(time)}:${two(new Date(time * 1000).getSeconds())}`;
}

export const iso = (time) => new Date(time * 1000).toISOString();

export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1e6) return `${(bytes / 1e3).toPrecision(3)} kB`;
  return `${(bytes / 1e6).toPrecision(3)} MB`;
}

export const plural = (count, one, many = `${one}s`) =>
  `${whole(count)} ${count === 1 ? one : many}`;
