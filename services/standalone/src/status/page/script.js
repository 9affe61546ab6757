"use strict";
(() => {
  const STAGES = {
    ingest: ["HL7 v2 to FHIR", "parses and converts"], validate: ["FHIR R4 validity", "checks against R4"],
    redact: ["removes identifiers", "removes identifiers"], classify: ["urgency and specialty", "judges urgency"],
    summarize: ["short summary", "picks the sentences"], notify: ["tells the right team", "sends the mail"],
    audit: ["keeps every event", "seals every topic"],
  };
  const PHASES = { starting: "Starting", running: "Running", draining: "Draining", finished: "Finished" };
  const URGENCIES = ["all", "emergent", "urgent", "routine", "triage"];
  const SVG = "http://www.w3.org/2000/svg";
  const $ = (id) => document.getElementById(id);
  const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const state = { status: null, failures: 0, notes: [], filter: "all", selected: null, view: "html", detail: null, hover: {}, frozen: false };

  // ---- words and numbers
  const count = (n) => integer.format(n);
  const short = (n) => n < 10000 ? count(n) : n < 999500 ? (n / 1e3).toFixed(n < 99950 ? 1 : 0) + "k" : n < 999.5e6 ? (n / 1e6).toFixed(1) + "M" : (n / 1e9).toFixed(1) + "G";
  const rate = (n) => (n < 10 && n % 1 ? n.toFixed(1) : short(Math.round(n))) + "/s";
  const ms = (n) => n == null ? "–" : n < 10 ? n.toFixed(1) + " ms" : n < 1000 ? Math.round(n) + " ms" : n < 1e5 ? (n / 1e3).toFixed(n < 1e4 ? 2 : 1) + " s" : Math.round(n / 6e4) + " min";
  const bytes = (n) => n < 1e3 ? n + " B" : n < 1e6 ? (n / 1e3).toFixed(1) + " kB" : n < 1e9 ? (n / 1e6).toFixed(1) + " MB" : (n / 1e9).toFixed(1) + " GB";
  const clock = (at) => new Date(at).toLocaleTimeString("en-GB");
  const ago = (at, now) => { const s = Math.max(0, Math.round((now - at) / 1000)); return s < 2 ? "now" : s < 60 ? s + " s ago" : s < 3600 ? Math.floor(s / 60) + " min ago" : s < 86400 ? Math.floor(s / 3600) + " h ago" : new Date(at).toLocaleDateString("en-GB"); };
  const span = (m) => { const s = Math.max(0, Math.floor(m / 1000)); const two = (n) => String(n).padStart(2, "0"); return (s >= 3600 ? Math.floor(s / 3600) + ":" : "") + two(Math.floor(s / 60) % 60) + ":" + two(s % 60); };
  const last = (a) => a && a.length ? a[a.length - 1] : 0;
  const title = (s) => s.charAt(0).toUpperCase() + s.slice(1);
  const tone = (n) => n.urgency === "emergent" ? "emergent" : n.triage ? "triage" : n.urgency === "urgent" ? "urgent" : "routine";

  // ---- building nodes; text goes in as text only
  function el(tag, attrs, ...children) {
    const node = document.createElement(tag);
    for (const [k, v] of Object.entries(attrs || {})) if (k === "class") node.className = v; else if (v === true) node.setAttribute(k, ""); else if (v !== false && v != null) node.setAttribute(k, v);
    node.append(...children.filter((c) => c != null));
    return node;
  }
  function svg(tag, attrs, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [k, v] of Object.entries(attrs || {})) node.setAttribute(k, v);
    if (text != null) node.textContent = text;
    return node;
  }
  function text(node, value) { if (node.textContent !== value) node.textContent = value; }

  // ---- totals
  const KPIS = [
    ["messages_in", "Messages in", (t, h) => rate(last(h.messages_in)) + " now"],
    ["notified", "Notified", (t, h) => rate(last(h.notified)) + " now"],
    ["dropped", "Not for anyone", () => "each with a reason"],
    ["dead_lettered", "Dead letters", (t) => t.messages_in ? (100 * t.dead_lettered / t.messages_in).toFixed(2) + " % of all" : "kept with their bytes"],
    ["in_flight", "In flight", () => "between feed and fate"],
    ["lost", "Lost", (t) => t.lost ? "messages without a fate" : "every message has a fate"],
    ["duplicated", "Duplicated", (t) => t.duplicated ? "sent more than once" : "each sent once"],
  ];
  function kpis(s, h) {
    const box = $("kpis");
    if (!box.children.length) for (const [key, name] of KPIS) box.append(el("dl", { class: "kpi", id: "kpi-" + key }, el("dt", {}, name), el("dd", {}, "–"), el("p", {})));
    for (const [key, , note] of KPIS) {
      const card = $("kpi-" + key), value = s.totals[key];
      text(card.children[1], count(value));
      card.children[1].title = count(value);
      text(card.children[2], note(s.totals, h));
      if (key === "lost" || key === "duplicated") card.className = "kpi " + (value ? "bad" : s.totals.messages_in ? "ok" : "");
    }
  }

  // ---- the line as a picture
  function flow(s, h) {
    const root = $("flow"), narrow = root.clientWidth > 0 && root.clientWidth < 760;
    const steps = s.stages.filter((x) => x.name !== "audit"), audit = s.stages.find((x) => x.name === "audit");
    const nodes = [{ end: true, name: "Feeds", a: rate(last(h.messages_in)), b: count(s.totals.messages_in) + " in" },
      ...steps.map((x) => ({ name: x.name, health: x.health, a: rate(last((h.stages[x.name] || {}).rate)), b: x.lag == null ? "lag –" : "lag " + short(x.lag), dead: x.dead_lettered + x.parked, on: last((h.stages[x.name] || {}).rate) > 0 })),
      { end: true, name: "Clinicians", a: rate(last(h.notified)), b: count(s.totals.notified) + " told", on: last(h.notified) > 0 }];
    const n = nodes.length, W = narrow ? 380 : Math.max(820, Math.min(1360, root.clientWidth)), bw = narrow ? 210 : Math.min(128, .82 * (W - 32) / n), bh = 74;
    const gap = narrow ? 26 : (W - 32 - n * bw) / Math.max(1, n - 1), top = narrow ? 34 : 46;
    const place = (i) => narrow ? [(W - bw) / 2, top + i * (bh + gap)] : [16 + i * (bw + gap), top];
    const H = narrow ? top + n * (bh + gap) + 78 : top + bh + 102;
    const out = document.createDocumentFragment();
    root.setAttribute("viewBox", `0 0 ${W} ${H}`);
    const border = steps.findIndex((x) => x.name === "redact") + 1;
    if (border > 0) {
      const cut = place(border)[narrow ? 1 : 0] + (narrow ? bh : bw) + gap / 2, edge = narrow ? top + n * (bh + gap) - gap / 2 : top + bh + 22;
      const zone = (cls, from, to, label, x, y, anchor) => {
        out.append(svg("rect", narrow ? { class: cls, x: 0, y: from, width: W, height: to - from, rx: 12 } : { class: cls, x: from, y: 0, width: to - from, height: edge, rx: 12 }));
        out.append(svg("text", { class: cls + "-t", x, y, "text-anchor": anchor || "start" }, label));
      };
      zone("phi", 0, cut - 3, narrow ? "with identifiers" : "with patient identifiers", 14, 22);
      zone("safe", cut + 3, narrow ? edge : W, narrow ? "without" : "without patient identifiers", narrow ? 14 : cut + 17, narrow ? cut + 22 : 22);
    }
    const auditY = narrow ? top + n * (bh + gap) + 14 : top + bh + 54;
    nodes.forEach((node, i) => {
      const [x, y] = place(i);
      if (i + 1 < n) {
        const next = place(i + 1), on = nodes[i + 1].on ? " on" : "";
        out.append(svg("path", { class: "edge" + on, d: narrow ? `M${x + bw / 2} ${y + bh}V${next[1]}` : `M${x + bw} ${y + bh / 2}H${next[0]}` }));
        if (!narrow) out.append(svg("path", { class: "tap", d: `M${x + bw + gap / 2} ${y + bh / 2 + 5}V${auditY}` }));
      }
      out.append(svg("rect", { class: "box " + (node.end ? "end" : node.health), x, y, width: bw, height: bh, rx: 11 }));
      const mid = x + bw / 2;
      out.append(svg("text", { class: "name", x: mid, y: y + 23, "text-anchor": "middle" }, node.name),
        svg("text", { class: "num", x: mid, y: y + 43, "text-anchor": "middle" }, node.a),
        svg("text", { class: "t2", x: mid, y: y + 61, "text-anchor": "middle" }, node.b));
      if (node.dead) {
        const label = short(node.dead) + " dead", w = 12 + label.length * 6.3;
        out.append(svg("rect", { class: "badge", x: x + bw - w + 6, y: y + bh - 9, width: w, height: 18, rx: 9 }),
          svg("text", { class: "badge-t", x: x + bw - w / 2 + 6, y: y + bh + 4, "text-anchor": "middle" }, label));
      }
    });
    const sealed = s.worm ? (narrow ? short(s.worm.records) + " sealed, " + count(s.worm.segments) + " segments" : count(s.worm.records) + " records sealed in " + count(s.worm.segments) + " segments · " + s.worm.store) : s.phase === "starting" ? "not started yet" : "no audit log in this run";
    const aw = narrow ? W - 24 : W - 32, ax = narrow ? 12 : 16;
    out.append(svg("rect", { class: "box " + (audit ? audit.health : "waiting"), x: ax, y: auditY, width: aw, height: 46, rx: 11 }),
      svg("text", { class: "name", x: ax + 16, y: auditY + 28 }, "audit"),
      svg("text", { class: narrow ? "t2" : "num", x: ax + 68, y: auditY + 28 }, (narrow ? "" : "every topic, every fate · ") + sealed));
    root.replaceChildren(out);
    root.setAttribute("aria-label", "Flow: " + nodes.map((x) => x.name + " " + x.a + (x.dead ? ", " + x.dead + " dead letters" : "")).join("; ") + "; audit: " + sealed);
    text($("line-note"), s.end_to_end ? "feed to notification: p50 " + ms(s.end_to_end.p50_ms) + ", p99 " + ms(s.end_to_end.p99_ms) : "");
  }

  // ---- charts
  function path(values, x, y) {
    let d = "", pen = false;
    values.forEach((v, i) => { if (v == null) { pen = false; return; } d += (pen ? "L" : "M") + x(i).toFixed(1) + " " + y(v).toFixed(1); pen = true; });
    return d;
  }
  function nice(max) { const p = 10 ** Math.floor(Math.log10(max)); return [1, 2, 3, 4, 5, 6, 8, 10].map((k) => k * p).find((k) => k >= max) || max; }
  function chart(id, legend, at, series, format, empty) {
    const box = $(id), all = series.flatMap((s) => s.values).filter((v) => v != null);
    if (all.length < 2) { box.replaceChildren(el("p", { class: "empty" }, empty)); return; }
    const W = box.clientWidth, H = box.clientHeight, left = 52, right = 6, topY = 8, bottom = 22, slots = 120;
    const max = nice(Math.max(1, ...all)), x = (i) => left + (W - left - right) * (slots - at.length + i) / (slots - 1), y = (v) => topY + (H - topY - bottom) * (1 - v / max);
    const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": series.map((s) => s.name + " " + format(last(s.values) ?? 0)).join(", ") });
    for (const part of [0, .5, 1]) {
      root.append(svg("line", { class: part ? "grid" : "zero", x1: left, x2: W - right, y1: y(max * part), y2: y(max * part) }),
        svg("text", { x: left - 8, y: y(max * part) + 4, "text-anchor": "end" }, part ? format(max * part) : "0"));
    }
    root.append(svg("text", { x: left, y: H - 4 }, "2 min ago"), svg("text", { x: W - right, y: H - 4, "text-anchor": "end" }, "now"));
    for (const s of series) {
      const d = path(s.values, x, y), first = s.values.findIndex((v) => v != null);
      if (s.area && d) root.append(svg("path", { class: "area " + s.cls, d: d + `L${x(s.values.length - 1)} ${y(0)}L${x(first)} ${y(0)}Z` }));
      root.append(svg("path", { class: "line " + s.cls, d }));
    }
    let i = at.length - 1;
    if (state.hover[id] != null) {
      i = Math.max(0, Math.min(at.length - 1, Math.round((state.hover[id] - left) / (W - left - right) * (slots - 1)) - (slots - at.length)));
      root.append(svg("line", { class: "cursor", x1: x(i), x2: x(i), y1: topY, y2: H - bottom }));
    }
    box.replaceChildren(root);
    $(legend).replaceChildren(...series.map((s) => el("li", { class: s.cls }, el("i", {}), s.name + " ", el("b", {}, s.values[i] == null ? "–" : format(s.values[i])))), ...(state.hover[id] != null ? [el("li", {}, clock(at[i]))] : []));
  }
  function spark(values) {
    const W = 240, H = 34, max = Math.max(1, ...values), x = (i) => W * (120 - values.length + i) / 119, y = (v) => 2 + (H - 4) * (1 - v / max);
    const root = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", "aria-hidden": "true" }), d = path(values, x, y);
    if (values.length > 1) root.append(svg("path", { class: "area", d: d + `L${W} ${H}L${x(0)} ${H}Z` }), svg("path", { class: "line", d, "vector-effect": "non-scaling-stroke" }));
    return root;
  }
  function charts(h) {
    chart("tp", "tp-legend", h.at_ms, [{ name: "messages in", values: h.messages_in, cls: "c1", area: true }, { name: "notified", values: h.notified, cls: "c2", area: true }], rate, "The first messages show here a second after they arrive.");
    chart("lat", "lat-legend", h.at_ms, [{ name: "p50", values: h.p50_ms, cls: "c1" }, { name: "p99", values: h.p99_ms, cls: "c2" }], ms, "Latency shows here with the first notification.");
  }

  // ---- stages
  function fates(x) {
    const parts = [["k-out", x.records_out], ["k-drop", x.dropped], ["k-park", x.parked], ["k-dead", x.dead_lettered]], all = parts.reduce((a, p) => a + p[1], 0) || 1;
    const root = svg("svg", { viewBox: "0 0 150 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    const fill = { "k-out": "var(--accent)", "k-drop": "var(--drop)", "k-park": "var(--park)", "k-dead": "var(--dead)" };
    const widths = parts.map((p) => p[1] && Math.max(3, 150 * p[1] / all)), scale = 150 / (widths.reduce((a, w) => a + w, 0) || 1);
    let at = 0;
    for (const [i, [cls, value]] of parts.entries()) if (value) { const w = widths[i] * scale, r = svg("rect", { x: at, y: 0, width: w, height: 10 }); r.style.fill = fill[cls]; root.append(r); at += w; }
    const words = [x.dropped && short(x.dropped) + " dropped", x.parked && short(x.parked) + " parked", x.dead_lettered && short(x.dead_lettered) + " dead"].filter(Boolean).join(", ");
    return el("td", { class: "fates" }, root, el("small", {}, words || (x.records_out ? "all passed on" : "nothing yet")));
  }
  function stages(s, h) {
    if (!s.stages.length) return;
    $("stage-rows").replaceChildren(...s.stages.map((x) => {
      const values = (h.stages[x.name] || { rate: [] }).rate, n = (label, value) => el("td", { class: "n", "data-label": label }, value);
      const about = x.health === "up" ? (STAGES[x.name] || [""])[0] : x.detail || (x.health === "waiting" ? "waiting to start" : "down");
      return el("tr", {},
        el("td", { class: "wide" }, el("div", { class: "st" }, el("span", { class: "dot " + x.health, role: "img", "aria-label": x.health }), el("span", {}, x.name, el("small", {}, about)))),
        el("td", { class: "wide" }, el("div", { class: "spark" }, spark(values), el("b", {}, rate(last(values))))),
        n("Lag", x.lag == null ? "–" : count(x.lag)), n("p50", x.latency ? ms(x.latency.p50_ms) : "–"), n("p99", x.latency ? ms(x.latency.p99_ms) : "–"),
        n("In", count(x.records_in)), n("Out", count(x.records_out)), fates(x));
    }));
  }

  // ---- notifications
  function filters() {
    $("filters").replaceChildren(...URGENCIES.map((u) => {
      const b = el("button", { type: "button", "aria-pressed": String(state.filter === u) }, u === "triage" ? "Needs triage" : title(u));
      b.addEventListener("click", () => { state.filter = u; filters(); list(true); b.isConnected || $("filters").children[URGENCIES.indexOf(u)].focus(); });
      return b;
    }));
  }
  function list(force) {
    if (state.frozen && !force) return;
    const box = $("note-list"), now = Date.now(), shown = state.notes.filter((n) => state.filter === "all" || tone(n) === state.filter);
    const top = box.scrollTop;
    if (!shown.length) {
      box.replaceChildren(el("li", { class: "empty" }, state.notes.length ? "None of the latest notifications is of this kind." : "No notification yet. The first one shows here as soon as the mail server took it."));
    } else {
      box.replaceChildren(...shown.map((n) => {
        const b = el("button", { type: "button", class: tone(n), "data-id": n.id, "aria-current": String(n.id === state.selected), tabindex: n.id === (shown.some((m) => m.id === state.selected) ? state.selected : shown[0].id) ? 0 : -1 },
          el("span", { class: "row" }, el("b", {}, n.triage && n.urgency !== "emergent" ? "needs triage" : n.urgency), n.latency_ms == null ? null : el("span", {}, "after " + ms(n.latency_ms)), el("span", {}, ago(n.sent_at_ms, now))),
          el("strong", {}, n.subject.replace(/^\[[^\]]*\]\s*/, "")), el("span", { class: "to" }, "to " + n.to.join(", ")));
        b.addEventListener("click", () => open(n.id));
        return el("li", {}, b);
      }));
    }
    box.scrollTop = top;
    if (!state.selected && !state.wanted && shown.length) open((shown.find((n) => n.urgency === "emergent") || shown[0]).id);
    else if (!state.detail && !shown.length) reader();
  }
  async function open(id) {
    state.selected = id;
    for (const b of $("note-list").querySelectorAll("button")) b.setAttribute("aria-current", String(b.dataset.id === id));
    try {
      const answer = await fetch("/api/notifications/" + encodeURIComponent(id));
      state.detail = answer.ok ? await answer.json() : { missing: true };
      if (state.detail.id && state.detail.id !== id) { state.selected = state.detail.id; list(true); }
    } catch { state.detail = { missing: true }; }
    reader();
  }
  function reader() {
    const box = $("note-read"), m = state.detail;
    if (!m || m.missing) { box.replaceChildren(el("p", { class: "empty" }, m ? "This notification is no longer kept on this page; it is in the audit log." : "Choose a notification to see it as its recipients do.")); return; }
    const line = (name, value, mono) => [el("dt", {}, name), el("dd", mono ? { class: "mono" } : {}, value)];
    const swap = el("button", { type: "button", class: "ghost" }, state.view === "html" ? "Show text part" : "Show HTML part");
    swap.addEventListener("click", () => { state.view = state.view === "html" ? "text" : "html"; reader(); $("note-read").querySelector("button").focus(); });
    box.replaceChildren(
      el("header", {}, el("h3", {}, el("span", {}, m.subject), swap),
        el("dl", {}, ...line("From", m.from), ...line("To", m.to.join(", ")), ...line("Sent", new Date(m.sent_at_ms).toLocaleString("en-GB") + (m.latency_ms == null ? "" : ", " + ms(m.latency_ms) + " after the feed's message")), ...line("Message-ID", m.message_id, true))),
      state.view === "text" ? el("pre", { tabindex: "0", "aria-label": "Text part" }, m.text)
        : el("iframe", { title: "HTML part of the mail", sandbox: "allow-popups allow-popups-to-escape-sandbox", src: "/api/notifications/" + encodeURIComponent(m.id) + "/html" }));
  }
  for (const [on, off] of [["mouseenter", "mouseleave"], ["focusin", "focusout"]]) {
    $("note-list").addEventListener(on, () => { state.frozen = true; hint(); });
    $("note-list").addEventListener(off, () => { state.frozen = false; hint(); });
  }
  $("note-list").addEventListener("keydown", (e) => {
    const all = [...$("note-list").querySelectorAll("button")], at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
    if (at < 0 || to == null || !all[to]) return;
    e.preventDefault(); all[to].focus(); all[to].click();
  });
  function hint() { text($("note-hint"), state.frozen ? "The list holds still while you look." : state.status ? count(state.status.snapshot.totals.notified) + " in all, the latest here" : ""); }

  // ---- dead letters, audit, dependencies
  function deadCounts(s) {
    const all = s.dead_letter_counts, max = Math.max(1, ...all.map((c) => c.count)), box = $("dead-counts");
    if (!all.length) { box.replaceChildren(el("p", { class: "empty" }, "No dead letters. A message that a stage cannot take comes here with its reason.")); return; }
    box.replaceChildren(el("ul", { class: "reasons" }, ...all.slice(0, 8).map((c) => {
      const bar = svg("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
      bar.append(svg("rect", { width: 100 * c.count / max, height: 4 }));
      return el("li", {}, el("span", { class: "mono" }, c.code), el("span", { class: "soft" }, c.stage), el("span", { class: "title" }, c.title), el("b", { class: "n" }, count(c.count)), el("div", { class: "track" }, bar));
    })));
  }
  function deadRows(all) {
    $("dead-table").hidden = !all.length;
    $("dead-rows").replaceChildren(...all.map((d) => el("tr", {}, el("td", { class: "nowrap" }, clock(d.at_ms)), el("td", {}, d.stage), el("td", { class: "mono nowrap" }, d.code), el("td", {}, d.reason), el("td", { class: "mono" + ((d.location || "").length < 32 ? " nowrap" : "") }, d.location || "–"), el("td", { class: "mono nowrap" }, d.source))));
  }
  function worm(s, now) {
    const w = s.worm, box = $("worm");
    if (!w) { box.replaceChildren(el("p", { class: "empty" }, s.phase === "starting" ? "The audit log shows here as soon as it starts." : "No audit log is configured in this run.")); return; }
    const row = (k, v) => [el("dt", {}, k), el("dd", {}, v)], v = w.verification;
    box.replaceChildren(el("dl", { class: "facts" }, ...row("Records sealed", count(w.records)), ...row("Segments", count(w.segments)), ...row("Size", bytes(w.bytes)), ...row("Last sealed", w.last_sealed_at_ms == null ? "not yet" : ago(w.last_sealed_at_ms, now)), ...row("Kept in", w.store)),
      el("p", { class: "verdict " + (v ? (v.ok ? "ok" : "bad") : "") }, v ? (v.ok ? "Verified " : "Verification failed ") + ago(v.at_ms, now) + ": " + v.summary : "Not verified yet. To verify it at any time: wardstream audit verify --bundle " + w.store),
      w.tamper_proof ? null : el("p", { class: "verdict warn" }, "This store is tamper-evident: a change shows when it is verified. Only S3 Object Lock makes it tamper-proof."));
  }
  function deps(s) {
    const words = { up: "up", waiting: "waiting", down: "down" }, names = { kafka: "Kafka broker", "schema-registry": "Schema registry", smtp: "Mail server", "worm-store": "Audit store" };
    $("deps").replaceChildren(...(s.dependencies.length ? s.dependencies.map((d) => el("li", {}, el("span", { class: "dot " + d.health, "aria-hidden": "true" }), el("span", {}, el("b", {}, names[d.name] || d.name), el("small", {}, d.detail)), el("em", {}, words[d.health]))) : [el("li", { class: "empty" }, "Nothing is connected yet.")]));
  }

  // ---- the whole page
  function draw() {
    const { snapshot: s, history: h, version } = state.status;
    text($("version"), "version " + version);
    const lost = state.failures > 1, pill = $("phase");
    pill.dataset.phase = lost ? "lost" : s.phase;
    text(pill.lastElementChild, lost ? "No connection" : PHASES[s.phase] + " · " + span(s.taken_at_ms - s.started_at_ms));
    const waiting = s.dependencies.filter((d) => d.health !== "up").map((d) => d.name);
    const note = lost ? "The process does not answer. The numbers are from " + clock(s.taken_at_ms) + "; this page goes on asking." : s.note || (waiting.length && s.phase !== "finished" ? "Waiting for " + waiting.join(", ") + ". Nothing is lost meanwhile." : "");
    $("banner").hidden = !note; $("banner").className = "banner" + (lost ? " bad" : ""); text($("banner"), note);
    document.title = lost ? "No connection · Wardstream" : (s.totals.lost || s.totals.duplicated ? "Fault · " : "") + "Wardstream";
    kpis(s, h); flow(s, h); charts(h); stages(s, h); deadCounts(s); worm(s, s.taken_at_ms); deps(s); hint();
  }
  async function get(url) { const answer = await fetch(url, { signal: AbortSignal.timeout(4000) }); if (!answer.ok) throw new Error(answer.status); return answer.json(); }
  async function tick(n) {
    try {
      // The lists change less than the numbers: they take turns, but the first time all come at once.
      const due = (turn) => n === 0 || n % 2 === turn;
      const [status, notes, dead] = await Promise.all([get("/api/status"), due(0) ? get("/api/notifications?limit=200") : null, due(1) ? get("/api/dead-letters?limit=50") : null]);
      state.status = status; state.failures = 0;
      if (notes) { state.notes = notes; list(); }
      if (dead) deadRows(dead);
    } catch { state.failures++; }
    if (state.status) draw();
    else if (state.failures > 1) { $("phase").dataset.phase = "lost"; text($("phase").lastElementChild, "No connection"); }
    setTimeout(tick, document.hidden ? 5000 : 1000, n + 1);
  }
  for (const id of ["tp", "lat"]) {
    $(id).addEventListener("pointermove", (e) => { state.hover[id] = e.clientX - $(id).getBoundingClientRect().left; if (state.status) charts(state.status.history); });
    $(id).addEventListener("pointerleave", () => { state.hover[id] = null; if (state.status) charts(state.status.history); });
  }
  addEventListener("resize", () => { if (state.status) draw(); });

  const stored = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme:dark)").matches ? "dark" : "light")) === "dark";
  const name = () => text($("theme"), dark() ? "Light" : "Dark");
  if (stored) document.documentElement.dataset.theme = stored;
  $("theme").addEventListener("click", () => { const next = dark() ? "light" : "dark"; document.documentElement.dataset.theme = next; try { localStorage.setItem("theme", next); } catch { /* private mode */ } name(); });
  name(); filters(); list(); reader();
  const wanted = /^\/events\/([^/]+)$/.exec(location.pathname);
  if (wanted) { state.wanted = true; open(decodeURIComponent(wanted[1])).then(() => $("notifications").scrollIntoView()); }
  tick(0);
})();
