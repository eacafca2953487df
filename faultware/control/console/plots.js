// The plots: requests, errors and latency of the last fifteen minutes, of all workers together.

import { SPAN, desk, now } from "./desk.js";
import { $, clock, count, drawn, millis, percent, put, text, words } from "./elements.js";

const WIDTH = 450, HEIGHT = 130;

function merged() {
  const all = new Map();
  for (const one of desk.workers.values()) for (const point of one.points.values()) {
    if (point.at + 5 > now()) continue; // not over yet
    const sum = all.get(point.at) || { at: point.at, requests: 0, measured: 0, errors: 0, own_errors: 0, injected: 0, times: new Map() };
    for (const name of ["requests", "measured", "errors", "own_errors", "injected"]) sum[name] += point[name];
    for (const [end, number] of point.times) sum.times.set(end, (sum.times.get(end) || 0) + number);
    all.set(point.at, sum);
  }
  return [...all.values()].sort((one, other) => one.at - other.at);
}

function quantile(times, q) {
  const ends = [...times].sort((one, other) => one[0] - other[0]);
  let left = q * ends.reduce((sum, [, number]) => sum + number, 0);
  for (const [end, number] of ends) if ((left -= number) <= 0) return end;
  return null;
}

export function plot() {
  const points = merged(), step = 5, part = (name) => (one) => (one.measured ? (100 * one[name]) / one.measured : null);
  for (const one of points) { one.p50 = quantile(one.times, 0.5); one.p99 = quantile(one.times, 0.99); }
  draw("requests", points, [["requests", (one) => one.requests / step], ["injected", (one) => one.injected / step]], 1, (top) => `${count(top)}/s`, true);
  draw("errors", points, [["errors", part("errors")], ["own", part("own_errors")]], 1, percent);
  draw("latency", points, [["p99", (one) => one.p99], ["p50", (one) => one.p50]], 0.001, millis);
  const late = points.filter((one) => one.at > now() - 21);
  const total = (name) => late.reduce((sum, one) => sum + one[name], 0);
  const times = new Map();
  for (const one of late) for (const [end, number] of one.times) times.set(end, (times.get(end) || 0) + number);
  const measured = total("measured"), seconds = step * Math.max(1, late.length);
  put("now-requests", `${count(total("requests") / seconds)}/s, ${count(total("injected") / seconds)}/s injected`);
  put("now-errors", measured ? `${percent((100 * total("errors")) / measured)}, own ${percent((100 * total("own_errors")) / measured)}` : "–");
  put("now-latency", measured ? `p50 ${millis(quantile(times, 0.5))}, p99 ${millis(quantile(times, 0.99))}` : "–");
}

function draw(name, points, lines, least, label, zeros) {
  const end = Math.floor(now() / 5) * 5, begin = end - SPAN;
  const shown = points.filter((one) => one.at >= begin);
  const highest = Math.max(least, ...shown.flatMap((one) => lines.map(([, value]) => value(one) ?? 0)));
  const top = name === "errors" ? Math.min(100, nice(highest)) : nice(highest);
  const x = (at) => (((at - begin) * WIDTH) / SPAN).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / top) * (HEIGHT - 20)).toFixed(1);
  const parts = [];
  for (const share of [0.5, 1]) parts.push(drawn("path", { class: "grid", d: `M0 ${y(top * share)}H${WIDTH}` }));
  for (let at = 300; at < SPAN; at += 300) parts.push(drawn("path", { class: "grid", d: `M${x(begin + at)} 0V${HEIGHT}` }));
  for (const deed of desk.audit.entries) if (["kill", "arm"].includes(deed.action) && deed.at > begin) {
    const mark = drawn("path", { class: `mark ${deed.action}`, d: `M${x(deed.at)} 0V${HEIGHT}` });
    mark.append(text("title", `${words(deed.action)} ${clock(deed.at)}`, "", "http://www.w3.org/2000/svg"));
    parts.push(mark);
  }
  const found = new Map(shown.map((one) => [one.at, one]));
  for (const [kind, value] of lines) {
    const runs = [];
    let run = null;
    for (let at = begin; at < end; at += 5) {
      const one = found.get(at), height = one ? value(one) : zeros && at > shown[0]?.at ? 0 : null;
      if (height === null) run = null;
      else if (run) run.push([at, height]);
      else runs.push((run = [[at, height]]));
    }
    for (const steps of runs) {
      const path = steps.map(([at, height]) => `${x(at)} ${y(height)}H${x(at + 5)}`).join("L");
      const area = ["requests", "injected", "errors"].includes(kind);
      parts.push(drawn("path", { class: kind, d: area ? `M${x(steps[0][0])} ${HEIGHT}L${path}V${HEIGHT}` : `M${path}` }));
    }
  }
  $(`plot-${name}`).replaceChildren(...parts);
  put(`top-${name}`, shown.length ? label(top) : "no requests were measured");
}

function nice(value) {
  const base = 10 ** Math.floor(Math.log10(value));
  return base * [1, 2, 3, 5, 10].find((factor) => factor * base >= value * 0.999);
}
