"use strict";
// Only the groups of the page that is looked at are in the document, however many there are.
(() => {
  const PER_PAGE = 20, ITEMS_AT_FIRST = 12;
  const data = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id);
  const [show, words, count, list, nothing] = ["show", "words", "count", "list", "nothing"].map(element);
  const [previous, next, number, pages] = ["previous", "next", "page", "pages"].map(element);
  const [commands, lines, copy] = ["commands", "lines", "copy"].map(element);
  const places = new Map();
  for (const group of data.groups) for (const item of group.items) places.set(item.key, item);
  for (const finding of data.findings) finding.keys.forEach((key, at) => {
    if (!places.has(key)) places.set(key, { key, path: finding.paths[at], file: finding.files[at] });
  });

  const make = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // What a user has marked here: commands for a shell, since a page cannot write to the store.
  const marked = new Set();
  const quoted = (text) => /^[\w@%+=:,./-]+$/.test(text) && !text.startsWith("-") ? text : `'${text.replaceAll("'", "'\\''")}'`;
  const ignoring = (...names) => ["mmsearch dedup ignore", ...(data.store ? [`--store ${quoted(data.store)}`] : []), "--", ...names.map(quoted)].join(" ");

  function drawCommands() {
    commands.hidden = marked.size === 0;
    lines.value = [...marked].join("\n");
    lines.rows = Math.min(Math.max(marked.size, 2), 6);
    copy.textContent = "Copy";
  }

  function notButton(command, label, description) {
    const made = make("button", "not", label);
    made.type = "button";
    made.setAttribute("aria-label", description);
    made.setAttribute("aria-pressed", marked.has(command));
    made.addEventListener("click", () => {
      if (!marked.delete(command)) marked.add(command);
      made.setAttribute("aria-pressed", marked.has(command));
      drawCommands();
    });
    return made;
  }

  // changes: of all items, in shares of this picture. A square tile shows it whole, in its middle.
  function drawBoxes(made, image, changes) {
    const { naturalWidth: width, naturalHeight: height } = image, longest = Math.max(width, height);
    const across = width / longest, down = height / longest;
    const many = new Set(changes.map(({ owner }) => owner)).size > 2;
    made.classList.toggle("many", many);
    for (const { owner, box: [left, top, right, bottom] } of changes) {
      const drawn = make("div", "box");
      drawn.dataset.owner = owner;
      drawn.style.left = `${100 * ((1 - across) / 2 + left * across)}%`;
      drawn.style.top = `${100 * ((1 - down) / 2 + top * down)}%`;
      drawn.style.width = `${100 * (right - left) * across}%`;
      drawn.style.height = `${100 * (bottom - top) * down}%`;
      made.append(drawn);
    }
  }

  function tile(item, changes = []) {
    const made = make("div", "tile");
    const source = data.pictures[item.path] || item.file;
    if (!source) {
      made.textContent = "no picture";
      return made;
    }
    const image = make("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = item.key;
    image.addEventListener("error", () => made.replaceChildren("picture not available"));
    if (changes.length) image.addEventListener("load", () => drawBoxes(made, image, changes));
    image.src = source;
    made.append(image);
    return made;
  }

  const megabytes = (bytes) => bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

  // group: null for a finding, whose items are on a par.
  function shown(item, group, at) {
    const kept = group !== null && at === 0;
    const made = make("li", kept ? "item kept" : "item");
    const changes = kept ? group.items.flatMap((other, owner) => (other.changes || []).map((box) => ({ owner, box }))) : [];
    made.append(tile(item, changes));
    const mark = make("p", "mark");
    if (kept) mark.append(make("span", "", item.protected ? "kept (reference)" : "kept"));
    else if (item.tier) mark.append(make("span", "", item.relation), make("span", "", item.score.toFixed(2)));
    made.append(mark);
    if (kept && group.reason) made.append(make("p", "reason", group.reason));
    const key = make("p", "key", item.key);
    key.dir = "auto";
    made.append(key);
    if (item.width) made.append(make("p", "facts", `${item.width} × ${item.height}, ${megabytes(item.size)}`));
    if (item.evidence) made.append(make("p", "evidence", item.via ? `${item.evidence} (with ${item.via})` : item.evidence));
    if (item.changes && item.changes.length && group) {
      made.append(make("p", "differs", `differs in ${item.changes.length === 1 ? "the box" : `${item.changes.length} boxes`} on the kept picture`));
      made.tabIndex = 0;
      const highlight = (only) => made.closest(".group").querySelectorAll(".box").forEach((box) => {
        const own = Number(box.dataset.owner) === at;
        box.classList.toggle("faint", only && !own);
        box.classList.toggle("chosen", only && own);
      });
      for (const event of ["pointerenter", "focusin"]) made.addEventListener(event, () => highlight(true));
      for (const event of ["pointerleave", "focusout"]) made.addEventListener(event, () => highlight(false));
    }
    if (item.text) {
      const text = make("p", "text", item.text);
      text.dir = "auto";
      text.title = item.text;
      made.append(text);
    }
    if (group && !kept && item.named && group.items[0].named)
      made.append(notButton(ignoring(group.items[0].key, item.key), "Not a duplicate", `${item.key} is not a duplicate of the kept one`));
    return made;
  }

  function items(box, all, group) {
    const row = make("ol", "items");
    const add = (from, to) => all.slice(from, to).forEach((item, at) => row.append(shown(item, group, from + at)));
    add(0, ITEMS_AT_FIRST);
    box.append(row);
    if (all.length <= ITEMS_AT_FIRST) return;
    const more = make("button", "more", `Show ${(all.length - ITEMS_AT_FIRST).toLocaleString("en")} more`);
    more.type = "button";
    more.addEventListener("click", () => { add(ITEMS_AT_FIRST, all.length); more.remove(); });
    box.append(more);
  }

  const RELATIONS = ["exact", "same image", "edited version", "similar", "text"];
  const FAMILIES = { picture: "One picture", similar: "Similar pictures", text: "One text" };

  function groupBox(group) {
    const box = make("li", "group"), head = make("div", "head");
    const relations = RELATIONS.filter((name) => group.items.some((item) => item.relation === name));
    head.append(make("h2", "", `${FAMILIES[group.family]}: ${group.items.length.toLocaleString("en")} items, ${relations.join(", ")}`), make("span", "name", group.id));
    if (group.items.length > 2) head.append(notButton(ignoring(group.id), "None are duplicates", `No two items of group ${group.id} are duplicates`));
    box.append(head);
    items(box, group.items, group);
    return box;
  }

  function findingBox(finding) {
    const box = make("li", "group"), head = make("div", "head");
    head.append(make("h2", "", finding.kind));
    box.append(head, make("p", "detail", finding.detail));
    items(box, finding.keys.map((key) => { const { tier, ...item } = places.get(key); return { ...item, evidence: "" }; }), null);
    return box;
  }

  const haystacks = new WeakMap();
  function haystack(entry) {
    if (!haystacks.has(entry)) {
      const said = entry.items ? [entry.id, ...entry.items.flatMap((item) => [item.key, item.text])] : [entry.detail, ...entry.keys];
      haystacks.set(entry, said.join("\n").toLowerCase());
    }
    return haystacks.get(entry);
  }

  function option(value, text, entries) {
    if (!entries.length) return;
    const made = make("option", "", `${text} (${entries.length.toLocaleString("en")})`);
    made.value = value;
    show.append(made);
    kinds.set(value, entries);
  }

  const kinds = new Map();
  option("all", "all groups", data.groups);
  for (const relation of RELATIONS)
    option(`relation ${relation}`, `relation: ${relation}`, data.groups.filter((group) => group.items.some((item) => item.relation === relation)));
  for (const tier of ["bytes", "pixels", "edited", "similar", "text-same", "text-near"])
    option(`tier ${tier}`, `tier: ${tier}`, data.groups.filter((group) => group.items.some((item) => item.tier === tier)));
  option("findings", "all findings", data.findings);
  for (const kind of new Set(data.findings.map((finding) => finding.kind)))
    option(`finding ${kind}`, `finding: ${kind}`, data.findings.filter((finding) => finding.kind === kind));

  let chosen = [], at = 0;

  function draw() {
    const last = Math.max(Math.ceil(chosen.length / PER_PAGE), 1);
    at = Math.min(Math.max(at, 0), last - 1);
    list.replaceChildren(...chosen.slice(at * PER_PAGE, (at + 1) * PER_PAGE).map((entry) => entry.items ? groupBox(entry) : findingBox(entry)));
    nothing.hidden = chosen.length > 0;
    count.textContent = `${chosen.length.toLocaleString("en")} shown`;
    number.value = at + 1;
    number.max = last;
    pages.textContent = `of ${last.toLocaleString("en")}`;
    previous.disabled = at === 0;
    next.disabled = at === last - 1;
  }

  function filter() {
    const wanted = words.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const entries = kinds.get(show.value) || [];
    chosen = wanted.length ? entries.filter((entry) => wanted.every((word) => haystack(entry).includes(word))) : entries;
    at = 0;
    draw();
  }

  function turn(to) {
    at = to;
    draw();
    list.scrollIntoView({ block: "start" });
  }

  copy.addEventListener("click", async () => {
    lines.select();
    // A page from a file may lack the clipboard of the first kind.
    const done = navigator.clipboard ? await navigator.clipboard.writeText(lines.value).then(() => true, () => false) : false;
    copy.textContent = done || document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  });

  let waiting = 0;
  words.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  show.addEventListener("change", filter);
  previous.addEventListener("click", () => turn(at - 1));
  next.addEventListener("click", () => turn(at + 1));
  number.addEventListener("change", () => turn((Number.parseInt(number.value, 10) || 1) - 1));
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
