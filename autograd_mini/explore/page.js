"use strict";

// Shows a recorded run.  All numbers come from the record: nothing is computed here, only shown.
// Texts of the record go into the page through textContent alone.
(() => {
  const record = JSON.parse(document.getElementById("record").textContent);
  const nodes = new Map(record.nodes.map((node) => [node.id, node]));
  const steps = record.steps;
  const manual = record.manual;
  const forwardCount = steps.filter((step) => step.phase === "forward").length;
  const madeAt = new Map(); // node -> position at which its value is known
  const differentiatedAt = new Map(); // node -> position at which its gradient is known
  steps.forEach((step, i) =>
    (step.phase === "forward" ? madeAt : differentiatedAt).set(step.node, i + 1));
  for (const step of steps) {
    const made = step.phase === "forward" ? [[step, nodes.get(step.node).value]]
      : step.contributions.map((part) => [part, part.value]);
    for (const [item, result] of made) for (const read of item.reads) read.result = result;
  }
  const handLines = new Map((manual ? manual.lines : []).map((line) => [line.node, line]));

  const state = { position: 0, looked: null, entry: [] };
  let refreshers = []; // what to do in the panel when another entry is chosen

  // ---- making elements --------------------------------------------------------------------------

  const byId = (id) => document.getElementById(id);

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") element.addEventListener("click", value);
      else if (value !== null && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null));
    return element;
  }

  const make = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);

  const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  const button = (content, onclick, attributes = {}) =>
    make("button", { type: "button", ...attributes, onclick }, content);

  // ---- numbers ----------------------------------------------------------------------------------

  const special = { NaN: "NaN", Infinity: "\u221e", "-Infinity": "\u2212\u221e" };
  const withMinus = (text) => text.replaceAll("-", "\u2212");

  /** All digits, as they can be read back; exponents where Python has them. */
  function full(x) {
    if (typeof x !== "number") return String(x);
    if (Object.is(x, -0)) return "-0";
    const size = Math.abs(x);
    return size && (size < 1e-4 || size >= 1e16) ? x.toExponential() : String(x);
  }

  /** Four significant digits. */
  function short(x) {
    if (x === undefined) return "\u2026";
    if (typeof x === "string") return special[x] ?? x;
    const size = Math.abs(x);
    if (Number.isInteger(x) && size < 1e6) return withMinus(full(x));
    if (size >= 1e-4 && size < 1e5) return withMinus(String(Number(x.toPrecision(4))));
    return withMinus(String(Number(x.toPrecision(4)).toExponential()));
  }

  // ---- arrays -----------------------------------------------------------------------------------

  const count = (shape) => shape.reduce((n, length) => n * length, 1);
  const lastAxis = (shape) => (shape.length ? shape[shape.length - 1] : 1);

  /** The index along each axis of the element at a place in row-major order. */
  function indexOf(flat, shape) {
    const index = [];
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index.unshift(flat % shape[axis]);
      flat = Math.floor(flat / shape[axis]);
    }
    return index;
  }

  const placeOf = (index, shape) => shape.reduce((flat, n, axis) => flat * n + index[axis], 0);

  /** The part of an array that is in the record: rows and columns of its two-dimensional view. */
  function shown(tensor) {
    const columns = lastAxis(tensor.shape);
    return tensor.data
      ? { rows: columns ? count(tensor.shape) / columns : 0, columns }
      : { rows: tensor.head.rows, columns: tensor.head.columns };
  }

  /** Where the record has the element at a place in row-major order; -1 if it is left out. */
  function shownAt(tensor, flat) {
    if (tensor.data) return flat;
    const columns = lastAxis(tensor.shape);
    const row = Math.floor(flat / columns);
    const column = flat % columns;
    const { head } = tensor;
    return row < head.rows && column < head.columns ? row * head.columns + column : -1;
  }

  const valueAt = (tensor, flat) => (tensor.data ?? tensor.head.data)[shownAt(tensor, flat)];

  const shapeText = (shape) =>
    shape.length === 0 ? "one number"
      : shape.length === 1 ? `${shape[0]} number${shape[0] === 1 ? "" : "s"}`
        : shape.join(" \u00d7 ");

  const indexText = (index) => (index.length ? `[${index.join(", ")}]` : "");

  // ---- names ------------------------------------------------------------------------------------

  const nameOf = (id) => nodes.get(id).name || nodes.get(id).label || nodes.get(id).op;
  const gradientName = (id) =>
    /^[\p{L}\p{N}_.]+$/u.test(nameOf(id)) ? `d${nameOf(id)}` : `d(${nameOf(id)})`;
  const nameOfReference = (r) => (r.of === "gradient" ? gradientName(r.node) : nameOf(r.node));
  const tensorOf = (r) => nodes.get(r.node)[r.of];
  const sameReference = (a, b) => a.node === b.node && a.of === b.of;
  const isReference = (piece) => typeof piece === "object" && "node" in piece;
  const cost = nameOf(record.cost);
  const seed = nodes.get(record.cost).gradient;
  const seeded = count(seed.shape) > 1 || seed.data[0] !== 1; // it was given to backward

  // ---- what made an entry -----------------------------------------------------------------------

  /** The places of the elements of a read array that made an entry, where they are listed. */
  const listedPlaces = (read, entry) =>
    read.places[shownAt(read.result, placeOf(entry, read.result.shape))] ?? [];

  /** Whether an element of a read array went into an entry of the result. */
  function wentInto(read, index, entry) {
    const { shape } = tensorOf(read);
    if (read.places) return listedPlaces(read, entry).includes(placeOf(index, shape));
    return read.entries.every((axis, i) =>
      axis === "*" || shape[i] === 1 || index[i] === entry[axis]);
  }

  /** The elements of a read array that made an entry: how many there are, and the k-th place. */
  function sources(read, entry) {
    const { shape } = tensorOf(read);
    if (read.places) {
      const places = listedPlaces(read, entry);
      return { count: places.length, index: (k) => indexOf(places[k], shape) };
    }
    const lengths = shape.filter((_, i) => read.entries[i] === "*");
    return {
      count: count(lengths),
      index(k) {
        const along = indexOf(k, lengths);
        return read.entries.map((axis, i) =>
          axis === "*" ? along.shift() : shape[i] === 1 ? 0 : entry[axis]);
      },
    };
  }

  /** The reads of a step, each array once, with the mark that it has in formula and tables. */
  function marked(reads) {
    const found = [];
    for (const read of reads) {
      let first = found.find((other) => sameReference(other.reference, read));
      if (!first) {
        first = { reference: read, mark: `mark${(found.length % 4) + 1}`, reads: [] };
        found.push(first);
      }
      first.reads.push(read);
    }
    return found;
  }

  // ---- formulas ---------------------------------------------------------------------------------

  const written = /\^T|\^(-?\d+(?:\.\d+)?)|\^\((-?\d+(?:\.\d+)?)\)|\(\.\)|(?<=\s|^|\()-|@|\*/g;

  /** The text of a formula as a book prints it. */
  function printed(text, numbers) {
    const parts = [];
    let end = 0;
    for (const found of text.matchAll(written)) {
      parts.push(text.slice(end, found.index));
      end = found.index + found[0].length;
      if (found[0] === "^T") parts.push(numbers ? "" : make("sup", {}, "T"));
      else if (found[0].startsWith("^")) {
        parts.push(make("sup", {}, withMinus(found[1] ?? found[2])));
      }
      else if (found[0] === "(.)") parts.push(numbers ? "\u00b7" : "\u2299");
      else if (found[0] === "-") parts.push("\u2212");
      else parts.push("\u00b7");
    }
    parts.push(text.slice(end));
    return parts.filter((part) => part !== "");
  }

  /** A product that is written by putting factors side by side needs its sign among numbers. */
  function signs(pieces) {
    const out = pieces.slice();
    pieces.forEach((piece, i) => {
      if (typeof piece !== "string") return;
      let text = piece;
      const before = i > 0;
      const after = i + 1 < pieces.length;
      if (before && after && text.trim() === "") text = " \u00b7 ";
      else {
        if (before) text = text.replace(/^((?:\^T|\^-?[\d.]+)?\)*) (?=[\p{L}\d(])(?!\(\.\))/u, "$1 \u00b7 ");
        if (after) text = text.replace(/([\d)])(?<!\(\.\)) $/, "$1 \u00b7 ");
      }
      out[i] = text;
    });
    return out;
  }

  function term(text, mark, title) {
    return make("span", { class: `term ${mark || ""}`, title: title || null }, text);
  }

  /** A formula with names, or with the entries of them, or with their numbers. */
  function formula(pieces, reads, mode = "symbols", entry = []) {
    const groups = marked(reads);
    const parts = mode === "symbols" ? pieces : signs(pieces);
    const line = make("span", { class: "formula" });
    parts.forEach((piece, i) => {
      if (!isReference(piece)) {
        line.append(...printed(String(piece.number ?? piece), mode !== "symbols"));
        return;
      }
      const group = groups.find((other) => sameReference(other.reference, piece));
      const mark = group ? group.mark : "";
      if (mode === "symbols" || !group) {
        line.append(term(nameOfReference(piece), mark));
        return;
      }
      line.append(entryTerm(group.reads[0], sources(group.reads[0], entry).index(0), mark, mode,
        i === 0 || /\($/.test(parts[i - 1]), !/^\^/.test(parts[i + 1] ?? "")));
    });
    return line;
  }

  /** One entry of an array: by name and index, or as a number, in brackets where it needs them. */
  function entryTerm(reference, index, mark, mode, first = false, last = true) {
    const tensor = tensorOf(reference);
    const name = `${nameOfReference(reference)}${indexText(index)}`;
    if (mode === "entries") return term(name, mark);
    const number = valueAt(tensor, placeOf(index, tensor.shape));
    const text = short(number);
    const bare = (first && last) || /^[\d.]+(e[+\u2212]?\d+)?$|^\u2026$|^NaN$|^\u221e$/.test(text);
    return term(bare ? text : `(${text})`, mark, `${name} = ${full(number)}`);
  }

  const longest = 6; // terms of a sum that are written before the rest is asked for

  /** A sum of terms, the middle left out where it is long. */
  function sum(n, termAt, whole) {
    const line = make("span", { class: "formula" });
    const cut = !whole && n > longest + 1;
    for (let k = 0; k < n; k += 1) {
      if (cut && k === longest - 1) {
        line.append(` + \u2026 (${n - longest} more) \u2026`);
        k = n - 1;
      }
      if (k) line.append(" + ");
      line.append(make("span", { class: "addend" }, ...termAt(k)));
    }
    if (n === 0) line.append("0");
    return line;
  }

  const formWords = {
    elementwise: "Entry by entry: each entry is made from the entries at its own place.",
    product: "Each entry is a sum of products, such as of a row of one array and a column of the "
      + "other.",
    sum: "Each entry is a sum.",
    copy: "Nothing is computed: entries are only moved.",
    softmax: "Each entry is an exponential, divided by the sum of the exponentials.",
    log_softmax: "Each entry is less the logarithm of the sum of the exponentials.",
    logsumexp: "Each entry is the logarithm of a sum of exponentials.",
  };

  /** How an entry was made, where no formula of it says so. */
  const markedWords = (item) => (item.reads.every((read) => read.exact)
    ? "Below, the entries that made the chosen entry are marked."
    : "Below, entries are marked; those that made the chosen entry are among them.");

  /** A formula of an entry, read: texts, entries at the same place, and sums over terms. */
  function parsed(text) {
    const parts = [];
    for (const piece of text.split(/(\{[^}]*\}|\[\d+\])/)) {
      if (piece.startsWith("{")) {
        const terms = piece.slice(1, -1).split(/<(\d+)>/);
        if (parts.at(-1) === " + " && parts.at(-2)?.sums) {
          parts.pop();
          parts.at(-1).sums.push(terms);
        } else parts.push({ sums: [terms] });
      } else if (piece.startsWith("[")) parts.push({ own: Number(piece.slice(1, -1)) });
      else if (piece) parts.push(piece);
    }
    return parts;
  }

  /** The formula of one entry: with names, with indices, with numbers, and the full result. */
  function worked(name, item, result) {
    const box = make("div", { class: "worked" });
    const groups = marked(item.reads);
    const markOf = (read) => groups.find((one) => sameReference(one.reference, read)).mark;
    let whole = false;

    /** The terms of a sum: each is made when it is wanted. */
    function termsOf(sums, mode, entry) {
      return sums.flatMap((terms) => {
        const read = (i) => item.reads[Number(terms[i])];
        const n = Math.min(...terms.map((_, i) => (i % 2 ? sources(read(i), entry).count : Infinity)));
        return Array.from({ length: n }, (_, k) => (leads) => terms.map((text, i) => (i % 2
          ? entryTerm(read(i), sources(read(i), entry).index(k), markOf(read(i)), mode,
            terms[i - 1] ? terms[i - 1].endsWith("(") : leads)
          : text.replaceAll(" ", "\u00a0"))));
      });
    }

    function ofEntry(mode, entry, rows) {
      const line = make("span", { class: "formula" });
      for (const part of parsed(item.of_entry)) {
        if (part.sums) {
          const terms = termsOf(part.sums, mode, entry);
          rows.count = terms.length;
          line.append(sum(terms.length, (k) => terms[k](k === 0), whole));
        } else if (part.own !== undefined) {
          const read = item.reads[part.own];
          line.append(entryTerm(read, entry, markOf(read), mode, !line.hasChildNodes()));
        } else line.append(...printed(part, true));
      }
      return line;
    }

    function lines(entry) {
      const rows = [];
      if (item.form === "elementwise" && item.reads.every((r) => sources(r, entry).count === 1)) {
        for (const mode of ["entries", "numbers"]) {
          rows.push(formula(item.formula, item.reads, mode, entry));
        }
      } else if (item.of_entry) {
        for (const mode of ["entries", "numbers"]) rows.push(ofEntry(mode, entry, rows));
      }
      return rows;
    }
    function refresh(entry) {
      const rows = lines(entry);
      const value = valueAt(result, placeOf(entry, result.shape));
      box.replaceChildren(make("p", { class: "lead symbols" },
        make("span", { class: "term result" }, name), " = ", formula(item.formula, item.reads)));
      const table = make("div", { class: "numbers" });
      const left = () => (table.childElementCount ? make("span", { class: "left" })
        : make("span", { class: "left" },
          make("span", { class: "term result" },
            `${name}${name.includes(" ") ? " " : ""}${indexText(entry)}`)));
      for (const row of rows) {
        table.append(left(), make("span", { class: "equals" }, "="), row);
      }
      table.append(left(), make("span", { class: "equals" }, "="), make("span",
        { class: "full", "data-value": value === undefined ? "" : full(value) },
        value === undefined ? "not in this page (see the note at the table)" : full(value)));
      box.append(table);
      if (rows.count > longest + 1) {
        box.append(button(whole ? "Shorten the sum" : `Write out all ${rows.count} terms`, () => {
          whole = !whole;
          refresh(state.entry);
          box.querySelector("button").focus();
        }, { class: "quiet" }));
      }
      if (rows.length) {
        box.append(make("p", { class: "note" },
          "Numbers in the formula are rounded to four digits; the last line has all digits."));
      }
    }
    refreshers.push(refresh);
    return box;
  }

  // ---- tables -----------------------------------------------------------------------------------

  function statistics(tensor) {
    const { stats } = tensor;
    const words = ["min", "max", "mean", "norm"].filter((word) => (stats[word] ?? null) !== null)
      .map((word) => `${word} ${short(stats[word])}`);
    if (stats.zeros) words.push(`${stats.zeros} zeros`);
    if (stats.nan) words.push(`${stats.nan} NaN or infinite`);
    return words.join(" \u00b7 ");
  }

  /**
   * An array as a table.  Options: `title`; `choose`: entries can be chosen; `groups`: the marks
   * of the entries that made the chosen one; `follow`: the chosen entry is framed here too;
   * `wrong`: the set of cells that are wrong; `of`: "value", "gradient", ... for tests and styles.
   */
  function table(tensor, name, options = {}) {
    const { rows, columns } = shown(tensor);
    const { shape } = tensor;
    const all = lastAxis(shape);
    const cells = [];
    const body = make("tbody");
    for (let row = 0; row < rows; row += 1) {
      const line = make("tr");
      if (shape.length > 1) {
        line.append(make("th", { scope: "row" }, indexOf(row, shape.slice(0, -1)).join(",")));
      }
      for (let column = 0; column < columns; column += 1) {
        const flat = row * all + column;
        const number = valueAt(tensor, flat);
        const index = indexOf(flat, shape);
        const wrong = options.wrong && options.wrong.has(shownAt(tensor, flat));
        const cell = make("td", {
          "data-index": index.join(","),
          "data-value": full(number),
          title: `${name}${indexText(index)} = ${full(number)}${wrong ? " (wrong)" : ""}`,
          class: [wrong && "wrong", special[number] && "special"].filter(Boolean).join(" ") || null,
        }, wrong ? make("span", { class: "cross" }, "\u2717") : null, short(number));
        cells.push({ cell, index, row, column });
        line.append(cell);
      }
      body.append(line);
    }
    const head = make("thead");
    if (shape.length) {
      const line = make("tr", {}, shape.length > 1 ? make("td", { class: "corner" }) : []);
      for (let column = 0; column < columns; column += 1) {
        line.append(make("th", { scope: "col" }, String(column)));
      }
      head.append(line);
    }
    const grid = make("table", {
      "data-of": options.of || null, "data-name": name,
      role: options.choose ? "grid" : null, "aria-label": `${name}, ${shapeText(shape)}`,
    }, head, body);
    const find = (index) => cells.find((one) => one.index.every((x, i) => x === index[i]));

    function refresh(entry) {
      for (const { cell, index } of cells) {
        const chosen = Boolean(options.choose || options.follow)
          && index.length === entry.length && index.every((x, i) => x === entry[i]);
        cell.classList.toggle("chosen", chosen);
        if (options.choose) {
          cell.setAttribute("role", "gridcell");
          cell.setAttribute("aria-selected", String(chosen));
          cell.tabIndex = chosen ? 0 : -1;
        }
        for (const { mark, reads } of options.groups || []) {
          const used = reads.some((read) => wentInto(read, index, entry));
          if (used === cell.classList.contains("used")) continue;
          cell.classList.toggle(mark, used);
          cell.classList.toggle("used", used);
          if (used) cell.append(make("span", { class: "unseen" }, " marked"));
          else cell.querySelector(".unseen").remove();
        }
      }
    }
    refreshers.push(refresh);

    if (options.choose) {
      grid.addEventListener("click", (event) => {
        const one = cells.find(({ cell }) => cell.contains(event.target));
        if (one) choose(one.index);
      });
      grid.addEventListener("keydown", (event) => {
        const moves = {
          ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
          Home: [0, -columns], End: [0, columns],
        };
        const one = cells.find(({ cell }) => cell === event.target);
        if (!one || !moves[event.key] || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();
        const row = Math.min(rows - 1, Math.max(0, one.row + moves[event.key][0]));
        const column = Math.min(columns - 1, Math.max(0, one.column + moves[event.key][1]));
        const next = cells[row * columns + column];
        choose(next.index);
        next.cell.focus();
      });
      refreshers.push((entry) => {
        const one = find(entry);
        const edge = one && one.cell.closest(".scroll");
        if (!edge) return;
        const outer = edge.getBoundingClientRect();
        const inner = one.cell.getBoundingClientRect();
        edge.scrollTop += Math.min(0, inner.top - outer.top - 30)
          + Math.max(0, inner.bottom - outer.bottom + 8);
        edge.scrollLeft += Math.min(0, inner.left - outer.left - 50)
          + Math.max(0, inner.right - outer.right + 8);
      });
    }
    const big = count(shape) > cells.length;
    const unsure = (options.groups || []).some(({ reads }) => reads.some((read) => !read.exact));
    return make("figure", { class: `array ${options.kind || ""}` },
      make("figcaption", {}, options.title || name,
        make("span", { class: "shape" }, ` ${shapeText(shape)}`)),
      make("div", { class: "scroll", tabindex: "0", role: "group",
        "aria-label": `${name}, table` }, grid),
      unsure ? make("p", { class: "note" }, "What made the chosen entry is among the marked.")
        : null,
      big ? make("p", { class: "note" },
        `The first ${rows} \u00d7 ${columns} of ${shapeText(shape)}.`) : null,
      tensor.stats && (big || count(shape) > 20)
        ? make("p", { class: "note" }, statistics(tensor)) : null);
  }

  /** The arrays that a formula reads, with the entries that made the chosen one marked. */
  function readTables(item, upstream, more = []) {
    const tables = marked(item.reads).map(({ reference, mark, reads }) => {
      const isUpstream = upstream && sameReference(reference, upstream);
      const kind = isUpstream ? "upstream gradient "
        : reference.of === "gradient" ? "gradient " : "value ";
      return table(tensorOf(reference), nameOfReference(reference), {
        of: isUpstream ? "upstream" : reference.of, groups: [{ mark, reads }],
        title: [make("span", { class: "role" }, kind), make("span", { class: `term ${mark}` },
          link(nameOfReference(reference), reference))],
      });
    });
    if (!tables.length && !more.length) return [];
    return [make("h4", {}, "Made from"), make("div", { class: "arrays" }, ...tables, ...more)];
  }

  /** A button that goes to the step in which something was computed. */
  function link(text, reference) {
    return button(text, () => visit(reference.node, reference.of), {
      class: "link", title: "See how it was computed",
    });
  }

  // ---- the panel --------------------------------------------------------------------------------

  const sourceLine = (node) => (node.source
    ? make("p", { class: "source" }, make("span", { class: "place" }, node.source.place),
      make("code", {}, node.source.text)) : null);

  const strong = (content) => make("strong", {}, content);

  const listed = (words) => words.flatMap((word, i) =>
    [i === 0 ? "" : i === words.length - 1 ? " and " : ", ", strong(word)]);

  /** How a quantity is computed, printed as in a book. */
  const how = (id) => printed(nodes.get(id).label || nameOf(id), false);

  function heading(phase, name, rest, tensor) {
    return [
      make("p", { class: `phase ${phase}` }, { forward: "Forward: a value",
        backward: "Backward: a gradient", leaf: "There from the start",
        start: "Start" }[phase]),
      make("h2", { tabindex: "-1" }, make("span", { class: "name" }, name),
        rest ? make("span", { class: "rest" }, rest) : null),
      tensor ? make("p", { class: "facts" },
        `${shapeText(tensor.shape)} \u00b7 ${tensor.dtype}`) : null,
    ];
  }

  function startPanel() {
    const leaves = record.nodes.filter((node) => !madeAt.has(node.id));
    const backwardCount = steps.length - forwardCount;
    return [
      ...heading("start", `From the inputs to ${cost}, and back`, "", null),
      make("p", { class: "sentence" }, "The graph shows a computation that was recorded as it "
        + "ran. Each box is a quantity; an arrow leads from what is read to what is made from "
        + "it. Step through it:"),
      make("ol", { class: "story" },
        make("li", {}, strong("Forward"), ` (${forwardCount} steps). Each box is computed from `
          + `the boxes before it, until ${cost} is there.`),
        make("li", {}, strong("Backward"), ` (${backwardCount} steps). How much does ${cost} `
          + `change when an entry changes a little? That is its gradient. It is found from the `
          + `end to the front: ${seeded ? `backward was given the gradient of ${cost}`
            : `the gradient of ${cost} by itself is 1`}, and each box hands `
          + "shares of its gradient back to the boxes that it was made from. Where several "
          + "shares arrive, they are added.")),
      make("p", { class: "keys" }, make("kbd", {}, "\u2190"), " ", make("kbd", {}, "\u2192"),
        " step  ", make("kbd", {}, "Home"), " ", make("kbd", {}, "End"), " start and end  ",
        make("kbd", {}, "Space"), " play. In a table, click an entry or use the arrow keys to "
          + "see which numbers made it; in the graph they lead from box to box, and Enter opens "
          + "one."),
      make("h3", {}, "There from the start"),
      make("ul", { class: "leaves" }, ...leaves.map((node) => make("li", {},
        button(nameOf(node.id), () => visit(node.id, "value"), { class: "link" }),
        ` ${node.kind}, ${shapeText(node.value.shape)}`))),
      button("Begin: first step", () => go(1), { class: "begin" }),
    ];
  }

  function leafPanel(id) {
    const node = nodes.get(id);
    const at = differentiatedAt.get(id);
    return [
      ...heading("leaf", nameOf(id), node.kind, node.value),
      make("p", { class: "sentence" }, strong(nameOf(id)), {
        parameter: " is a parameter: the numbers that are learned. Its gradient tells how to "
          + "change it.",
        input: " is an input: it is given, not computed.",
      }[node.kind] || " is given, not computed."),
      make("div", { class: "card" }, make("div", { class: "arrays" },
        table(node.value, nameOf(id), { of: "value", choose: true }))),
      chosenLine(nameOf(id), node.value),
      at ? button(`Its gradient ${gradientName(id)}: step ${at}`, () => go(at),
        { class: "link" }) : make("p", { class: "note" }, "Its gradient was not computed."),
      sourceLine(node),
    ];
  }

  /** The chosen entry with all its digits. */
  function chosenLine(name, tensor) {
    const line = make("p", { class: "chosen-line" });
    refreshers.push((entry) => {
      const value = valueAt(tensor, placeOf(entry, tensor.shape));
      line.replaceChildren(make("span", { class: "term result" }, `${name}${indexText(entry)}`),
        " = ", make("span", { class: "full", "data-value": value === undefined ? "" : full(value) },
          value === undefined ? "not in this page" : full(value)));
    });
    return line;
  }

  function forwardPanel(step) {
    const node = nodes.get(step.node);
    const name = nameOf(step.node);
    const from = marked(step.reads).map(({ reference }) => nameOfReference(reference));
    const at = differentiatedAt.get(step.node);
    return [
      ...heading("forward", name, step.node === record.cost ? "the quantity to differentiate" : "",
        node.value),
      make("p", { class: "sentence" }, strong(name),
        ...(from.length ? [" is computed from ", ...listed(from), ". "] : [" is computed. "]),
        step.form === "elementwise" && !node.value.shape.length ? ""
          : formWords[step.form] || (step.reads.length ? markedWords(step) : "")),
      make("div", { class: "card" },
        worked(name, step, node.value),
        make("h4", {}, "Result", make("span", { class: "note" }, " choose an entry")),
        make("div", { class: "arrays" },
          table(node.value, name, { of: "value", choose: true, kind: "outcome" })),
        ...readTables(step)),
      at ? make("p", { class: "see" }, button(`Its gradient ${gradientName(step.node)}: step ${at}`,
        () => go(at), { class: "link" })) : null,
      sourceLine(node),
    ];
  }

  function backwardSentence(step) {
    const name = nameOf(step.node);
    const d = gradientName(step.node);
    const parts = step.contributions;
    const meaning = [strong(d), `: the gradient of ${cost} by `, strong(name), ". "];
    if (!parts.length) {
      return [...meaning, seeded ? "It is what backward was given. "
        : `${name} changes ${cost} one to one, so it is 1. `, "The way back begins here."];
    }
    if (parts.length === 1) {
      return [...meaning, "It gets one contribution, through ", strong(how(parts[0].through)), ". ",
        shareWords(parts[0])];
    }
    return [...meaning, `It gets ${parts.length} contributions, because ${name} is used `
      + `${parts.length} times, and their sum is the gradient.`];
  }

  function shareWords(part) {
    const upstream = reference(part.upstream) ? nameOfReference(part.upstream) : "";
    if (part.local) {
      return `Each entry is the upstream gradient${upstream ? ` ${upstream}` : ""} times the `
        + "local derivative.";
    }
    return {
      product: "Each entry is a sum of products: everywhere that it was used, the upstream "
        + "gradient there times what it was multiplied by.",
      sum: "Each entry is a sum: it was used in several places, and what comes back from them "
        + "adds up.",
      elementwise: "Entry by entry, from the upstream gradient"
        + `${upstream ? ` ${upstream}` : ""}.`,
      copy: "Nothing is computed: the upstream gradient goes back to where the entries came from; "
        + "those that were not used get 0.",
    }[part.form] || (part.reads.length ? markedWords(part) : "");
  }

  const reference = (upstream) => Boolean(upstream) && "node" in upstream;

  /** One contribution: formula, numbers, upstream gradient, local derivative. */
  function share(step, part, number) {
    const name = gradientName(step.node);
    const several = step.contributions.length > 1;
    const own = several ? `contribution ${number}` : name;
    const more = [];
    if (part.upstream && !part.reads.some((read) => reference(part.upstream)
        && sameReference(read, part.upstream))) {
      const tensor = reference(part.upstream) ? tensorOf(part.upstream) : part.upstream;
      more.push(table(tensor, reference(part.upstream)
        ? nameOfReference(part.upstream) : "upstream gradient", { of: "upstream",
        title: [make("span", { class: "role" }, "upstream gradient "),
          reference(part.upstream) ? link(nameOfReference(part.upstream), part.upstream) : ""] }));
    }
    if (part.local) {
      const alike = part.local_value
        && part.local_value.shape.join() === part.value.shape.join();
      more.push(part.local_value
        ? table(part.local_value, "local derivative", { of: "local", follow: alike,
          title: [make("span", { class: "role" }, "local derivative "),
            formula(part.local, part.reads)] })
        : make("p", { class: "local" }, make("span", { class: "role" }, "local derivative "),
          formula(part.local, part.reads)));
    }
    return make("section", { class: "card contribution", "data-through": part.through },
      make("h3", {}, several ? `Contribution ${number}` : "Contribution",
        make("span", { class: "through" }, " through ",
          button(how(part.through), () => visit(part.through, "gradient"), { class: "link" }))),
      several ? make("p", {}, shareWords(part)) : null,
      worked(own, part, part.value),
      make("h4", {}, several ? "Contribution" : "Result",
        make("span", { class: "note" }, " choose an entry")),
      make("div", { class: "arrays" }, table(part.value, own,
        { of: "contribution", choose: true, kind: "outcome" })),
      ...readTables(part, reference(part.upstream) ? part.upstream : null, more));
  }

  /** The sum of several contributions. */
  function total(step, tensor) {
    const name = gradientName(step.node);
    const parts = step.contributions;
    const line = make("div", { class: "numbers" });
    refreshers.push((entry) => {
      const flat = placeOf(entry, tensor.shape);
      const numbers = parts.map((part) => {
        const text = short(valueAt(part.value, flat));
        return text.startsWith("\u2212") ? `(${text})` : text;
      });
      const value = valueAt(tensor, flat);
      line.replaceChildren(
        make("span", { class: "left" }, make("span", { class: "term result" },
          `${name}${indexText(entry)}`)),
        make("span", { class: "equals" }, "="),
        make("span", { class: "formula" }, numbers.join(" + ")),
        make("span", { class: "left" }), make("span", { class: "equals" }, "="),
        make("span", { class: "full", "data-value": value === undefined ? "" : full(value) },
          value === undefined ? "not in this page" : full(value)));
    });
    return make("section", { class: "card sum" },
      make("h3", {}, "Sum of the contributions"),
      make("p", { class: "lead symbols" }, make("span", { class: "term result" }, name), " = ",
        parts.map((_, i) => `contribution ${i + 1}`).join(" + ")),
      line,
      make("div", { class: "arrays" },
        table(tensor, name, { of: "gradient", choose: true, kind: "outcome" })));
  }

  function backwardPanel(step) {
    const node = nodes.get(step.node);
    const name = gradientName(step.node);
    const line = handLines.get(step.node);
    const at = madeAt.get(step.node);
    const parts = step.contributions;
    return [
      ...heading("backward", name, `gradient of ${cost} by ${nameOf(step.node)}`, node.gradient),
      make("p", { class: "sentence" }, ...backwardSentence(step)),
      line ? handCard(line, node) : null,
      parts.length > 1 ? total(step, node.gradient) : null,
      ...parts.map((part, i) => share(step, part, i + 1)),
      parts.length ? null : make("div", { class: "card" }, make("div", { class: "arrays" },
        table(node.gradient, name, { of: "gradient", choose: true, kind: "outcome" })),
      chosenLine(name, node.gradient)),
      make("p", { class: "see" }, button(at ? `How ${nameOf(step.node)} was computed: step ${at}`
        : `The numbers of ${nameOf(step.node)}`, () => visit(step.node, "value"),
      { class: "link" })),
      sourceLine(node),
    ];
  }

  // ---- gradients by hand ------------------------------------------------------------------------

  const signsOf = { right: "\u2713", convention: "\u2713", wrong: "\u2717", follows: "\u21b3" };

  /** By which factor a gradient by hand and what stands beside it are larger: ` (times m = 5)`. */
  const timesOf = (line) => (line.factor ? ` (times ${line.factor})` : "");

  /** The entries of a large array that are off most. */
  function worstTable(line) {
    const cell = (number) => make("td", { "data-value": full(number), title: full(number) },
      short(number));
    return make("figure", { class: "array" },
      make("figcaption", {}, make("span", { class: "role" }, "the entries that are off most")),
      make("div", { class: "scroll", tabindex: "0", role: "group",
        "aria-label": `${line.name}, the entries that are off most` },
      make("table", { "data-of": "worst" },
        make("thead", {}, make("tr", {}, ...["entry", "yours", `true${timesOf(line)}`].map((text) =>
          make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...line.worst.map(({ at, hand, true: right }) => make("tr", {},
          make("th", { scope: "row" }, indexText(at)), cell(hand), cell(right)))))));
  }

  function handCard(line, node) {
    const first = manual.first_wrong === line.node;
    const alike = line.hand.shape.join() === node.gradient.shape.join();
    const wrong = new Set(line.wrong);
    const times = timesOf(line);
    const scaled = line.factor ? `${short(line.scale)} \u00b7 ${line.name}` : line.name;
    const tables = [
      table(line.hand, `your ${line.name}`, { of: "hand", follow: alike, choose: alike, wrong,
        kind: "hand", title: make("span", { class: "role" }, `your ${line.name}`) }),
      table(line.true ?? node.gradient, scaled, { of: "true", follow: true, choose: true,
        title: make("span", { class: "role" }, `true ${line.name}${times}`) }),
    ];
    if (!node.gradient.data && line.worst.length) tables.unshift(worstTable(line));
    const numerical = line.numerical ? make("details", {},
      make("summary", {}, "The same by central differences"),
      make("div", { class: "arrays" },
        table(line.numerical, `${scaled} by central differences`, { of: "numerical",
          follow: true, title: make("span", { class: "role" }, `by central differences${times}`) })))
      : null;
    return make("section", { class: `card verdict ${line.verdict}` },
      make("h3", {}, make("span", { class: "sign", "aria-hidden": "true" }, signsOf[line.verdict]),
        first ? ` Your ${line.name} is the first that is wrong`
          : ` Your ${line.name}: ${line.verdict === "follows"
            ? "off, but that may follow from an earlier mistake" : line.words}`),
      line.sentences.length ? make("ul", { class: "diagnosis" },
        ...line.sentences.map((text) =>
        make("li", {}, /^\p{Ll}/u.test(text) ? `${line.name} ${text}` : text))) : null,
      line.formula && line.verdict !== "right" ? make("p", { class: "lead" },
        make("span", { class: "role" }, "right is "), make("code", {}, line.formula)) : null,
      line.verdict !== "right" && line.difference ? make("p", { class: "note" },
        `Largest difference, relative to the largest entry: ${line.difference}${
          line.worst.length ? `, at ${indexText(line.worst[0].at)}` : ""}${alike ? "" : "; the shapes differ"}.`) : null,
      line.verdict === "right"
        ? make("details", {}, make("summary", {}, "Compare the numbers"),
          make("div", { class: "arrays" }, ...tables))
        : make("div", { class: "arrays" }, ...tables), numerical);
  }

  function buildChecks() {
    if (!manual) return;
    byId("checks").hidden = false;
    const list = make("ol", {});
    for (const line of manual.lines) {
      const first = manual.first_wrong === line.node;
      const at = differentiatedAt.get(line.node);
      list.append(make("li", {}, button([make("span", { class: "sign", "aria-hidden": "true" },
        signsOf[line.verdict]), ` ${line.name} `, make("span", { class: "word" }, first
        ? "first wrong" : line.words)],
      () => (at ? go(at) : visit(line.node, "value")),
      { class: `check ${line.verdict}${first ? " first" : ""}`, "data-node": line.node })));
    }
    byId("checks").append(make("h2", {}, manual.title || "Your gradients",
      make("span", { class: "note" }, " in backward order")), list,
    ...(manual.notes || []).map((text) => make("p", { class: "note" }, text)));
  }

  // ---- the graph --------------------------------------------------------------------------------

  const picture = { boxes: new Map(), arrows: [], svg: null, zoom: 1, tab: null };

  function outline(kind, w, h) {
    const c = 9;
    if (kind === "loss") {
      return draw("path", { class: "shape", d: `M${c} 0H${w - c}L${w} ${c}V${h - c}L${w - c} ${h}`
        + `H${c}L0 ${h - c}V${c}Z` });
    }
    if (kind === "input") {
      return draw("path", { class: "shape", d: `M0 0H${w - c}L${w} ${c}V${h}H0ZM${w - c} 0V${c}`
        + `H${w}` });
    }
    const round = { parameter: 9, constant: 2, op: 4 }[kind] ?? 4;
    return draw("rect", { class: "shape", width: w, height: h, rx: round });
  }

  /** A line through points, its corners rounded. */
  function curve(points) {
    const toward = (a, b) => {
      const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
      const t = Math.min(14, length / 2) / length;
      return `${a[0] + (b[0] - a[0]) * t} ${a[1] + (b[1] - a[1]) * t}`;
    };
    let d = `M${points[0].join(" ")}`;
    for (let i = 1; i + 1 < points.length; i += 1) {
      d += `L${toward(points[i], points[i - 1])}Q${points[i].join(" ")} `
        + toward(points[i], points[i + 1]);
    }
    return `${d}L${points[points.length - 1].join(" ")}`;
  }

  function arrowHead(from, to, name) {
    const angle = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
    return draw("path", { class: `head ${name}`, d: "M0 0L-9 -4.5L-9 4.5Z",
      transform: `translate(${to[0]} ${to[1]}) rotate(${angle})` });
  }

  function buildGraph() {
    const { graph } = record;
    const svg = draw("svg", { viewBox: `0 0 ${graph.width} ${graph.height}`, role: "group",
      "aria-label": `The graph of ${cost}` });
    for (const group of graph.groups || []) {
      svg.append(draw("g", { class: "group" },
        draw("rect", { x: group.x, y: group.y, width: group.width, height: group.height, rx: 8 }),
        draw("text", { x: group.x + 8, y: group.y + 14 }, group.label)));
    }
    for (const arrow of graph.arrows) {
      const points = arrow.points;
      const last = points.length - 1;
      const g = draw("g", { class: "arrow" }, draw("path", { class: "shaft", d: curve(points) }),
        arrowHead(points[last - 1], points[last], "onward"),
        arrowHead(points[1], points[0], "back"));
      picture.arrows.push({ ...arrow, g });
      svg.append(g);
    }
    for (const box of graph.boxes) {
      const h = box.height;
      const pitch = Math.min(16, (h - 6) / Math.max(1, box.lines.length));
      const name = nameOf(box.node);
      const lines = box.lines.some((line) => line.includes(name)) ? box.lines
        : [`${name}: ${box.lines[0] ?? ""}`, ...box.lines.slice(1)];
      const g = draw("g", { class: `box ${box.kind}`, role: "button", tabindex: "-1",
        transform: `translate(${box.x} ${box.y})`, "data-node": box.node },
      draw("title", {}, `${nodes.get(box.node).label || name}\n${nodes.get(box.node).kind}, `
        + shapeText(nodes.get(box.node).value.shape)), outline(box.kind, box.width, h),
      ...lines.map((line, i) => draw("text", { x: box.width / 2, class: i ? "small" : "large",
        y: h / 2 + (i - (lines.length - 1) / 2) * pitch }, line)),
      draw("g", { class: "badge", transform: `translate(${box.width - 2} 1)` },
        draw("circle", { r: 8 }), draw("text", {}, "\u2202")));
      g.addEventListener("click", () => visit(box.node, inBackward() ? "gradient" : "value"));
      g.addEventListener("keydown", (event) => {
        const moves = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0],
          ArrowRight: [1, 0] };
        if (event.ctrlKey || event.altKey || event.metaKey) return;
        if (event.key in moves) focusBeside(box, ...moves[event.key]);
        else if (event.key === "Enter" || event.key === " ") {
          visit(box.node, inBackward() ? "gradient" : "value");
        } else return;
        event.preventDefault();
        event.stopPropagation();
      });
      picture.boxes.set(box.node, { ...box, g });
      svg.append(g);
    }
    picture.svg = svg;
    svg.style.setProperty("--natural", `${graph.width}px`);
    if (graph.boxes.length) reachByTab(graph.boxes[0].node);
    document.querySelector("main").style.setProperty("--graph", `${graph.width * 1.15 + 50}px`);
    byId("canvas").append(svg);
    for (const { g, width } of picture.boxes.values()) {
      for (const text of g.querySelectorAll(":scope > text")) {
        if (text.getComputedTextLength() > width - 8) {
          text.setAttribute("textLength", Math.max(1, width - 8));
          text.setAttribute("lengthAdjust", "spacingAndGlyphs");
        }
      }
    }
    byId("key").append(make("span", { class: "swatch pending" }, "not yet computed"),
      make("span", { class: "swatch known" }, "value known"),
      make("span", { class: "swatch badge" }, make("b", {}, "\u2202"), " gradient known"),
      make("span", { class: "swatch current" }, "this step"));
  }

  function setZoom(zoom) {
    picture.zoom = Math.min(3, Math.max(0.1, zoom));
    picture.svg.style.width = `${Math.round(record.graph.width * picture.zoom)}px`;
  }

  function fit(least) {
    const canvas = byId("canvas");
    const { width, height } = record.graph;
    const zoom = Math.min((canvas.clientWidth - 16) / width, 1.4);
    setZoom(Math.max(least, least ? zoom : Math.min(zoom, (canvas.clientHeight - 16) / height)));
  }

  const inBackward = () => state.position > forwardCount;

  /** Makes a box the one that Tab leads to; the others are reached from it by arrow keys. */
  function reachByTab(id) {
    picture.boxes.get(picture.tab)?.g.setAttribute("tabindex", "-1");
    picture.boxes.get(id)?.g.setAttribute("tabindex", "0");
    picture.tab = id;
  }

  /** Moves the focus to the nearest box in a direction. */
  function focusBeside(from, x, y) {
    let best = null;
    for (const box of picture.boxes.values()) {
      const right = box.x + box.width / 2 - from.x - from.width / 2;
      const down = box.y + box.height / 2 - from.y - from.height / 2;
      const ahead = right * x + down * y;
      const distance = ahead + 2 * Math.abs(right * y + down * x);
      if (ahead > 1 && (!best || distance < best.distance)) best = { box, distance };
    }
    if (!best) return;
    reachByTab(best.box.node);
    best.box.g.focus({ preventScroll: true });
    reveal(best.box);
  }

  function paintGraph() {
    const { position } = state;
    const step = position ? steps[position - 1] : null;
    const current = state.looked ?? (step && step.node);
    for (const [id, box] of picture.boxes) {
      const { g } = box;
      const known = position >= (madeAt.get(id) ?? 0);
      const differentiated = position >= (differentiatedAt.get(id) ?? Infinity);
      const key = [known, differentiated, id === current].join();
      if (box.painted === key) continue; // with many boxes most stay as they are
      box.painted = key;
      g.classList.toggle("pending", !known);
      g.classList.toggle("differentiated", differentiated);
      g.classList.toggle("current", id === current);
      g.classList.toggle("mistaken", differentiated && handLines.get(id)?.verdict === "wrong");
      const words = [nodes.get(id).label || nameOf(id), known ? "" : "not yet computed",
        differentiated ? "gradient known" : "", id === current ? "this step" : ""];
      g.setAttribute("aria-label", words.filter(Boolean).join(", "));
    }
    if (current !== null) reachByTab(current);
    const through = new Set(step && step.phase === "backward"
      ? step.contributions.map((part) => part.through) : []);
    for (const { from, to, g } of picture.arrows) {
      const making = Boolean(step) && step.phase === "forward" && to === step.node;
      const back = Boolean(step) && step.phase === "backward" && from === step.node
        && through.has(to);
      g.classList.toggle("making", making);
      g.classList.toggle("returning", back);
      g.classList.toggle("pending", position < (madeAt.get(to) ?? 0));
    }
    const box = picture.boxes.get(current);
    if (box) reveal(box);
  }

  /** Scrolls the graph so that a box and its surroundings are seen. */
  function reveal(box) {
    const canvas = byId("canvas");
    const { zoom } = picture;
    const margin = 60;
    const move = (from, size, at, length) => {
      if (at - margin < from) return Math.max(0, at - margin);
      if (at + length + margin > from + size) return at + length + margin - size;
      return from;
    };
    canvas.scrollTo({
      left: move(canvas.scrollLeft, canvas.clientWidth, box.x * zoom, box.width * zoom),
      top: move(canvas.scrollTop, canvas.clientHeight, box.y * zoom, box.height * zoom),
    });
  }

  // ---- moving -----------------------------------------------------------------------------------

  function choose(entry) {
    state.entry = entry;
    for (const refresh of refreshers) refresh(entry);
  }

  /** The entry to show first: the worst one of a gradient that is wrong by hand, else the first. */
  function firstEntry(tensor, line) {
    const { shape } = tensor;
    const worst = line?.worst[0]?.at;
    return worst && shownAt(tensor, placeOf(worst, shape)) >= 0 ? worst : shape.map(() => 0);
  }

  function show() {
    const { position, looked } = state;
    const step = position ? steps[position - 1] : null;
    refreshers = [];
    const panel = byId("panel");
    const inside = panel.contains(document.activeElement);
    const id = looked ?? (step && step.node);
    const content = looked !== null ? leafPanel(looked) : !step ? startPanel()
      : step.phase === "forward" ? forwardPanel(step) : backwardPanel(step);
    panel.replaceChildren(...content.filter((part) => part !== null));
    const backward = looked === null && step?.phase === "backward";
    if (backward) choose(firstEntry(nodes.get(id).gradient, handLines.get(id)));
    else if (id !== null) choose(firstEntry(nodes.get(id).value));
    panel.scrollTop = 0;
    if (inside) panel.querySelector("h2").focus({ preventScroll: true });

    const name = step ? (step.phase === "forward" ? nameOf : gradientName)(step.node) : "start";
    const words = `Step ${position} of ${steps.length}`;
    byId("position").textContent = position ? words : `Start, ${steps.length} steps`;
    const slider = byId("slider");
    slider.value = String(position);
    slider.setAttribute("aria-valuetext", `${words}: ${name}`);
    byId("live").textContent = step
      ? `${words}. ${panel.querySelector(".sentence").textContent}` : "Start";
    for (const [button_, off] of [["first", !position], ["previous", !position],
      ["next", position === steps.length], ["last", position === steps.length]]) {
      byId(button_).setAttribute("aria-disabled", String(off));
    }
    for (const chip of document.querySelectorAll("#checks .check")) {
      const here = looked === null && step && step.phase === "backward"
        && Number(chip.dataset.node) === step.node;
      if (here) chip.setAttribute("aria-current", "step");
      else chip.removeAttribute("aria-current");
    }
    document.body.dataset.phase = step ? step.phase : "start";
    paintGraph();
  }

  function go(position) {
    state.position = Math.min(steps.length, Math.max(0, position));
    state.looked = null;
    if (state.position === steps.length) play(false);
    show();
  }

  /** Goes to the step that made a value or a gradient; a leaf is looked at where we are. */
  function visit(id, of) {
    const at = of === "gradient" ? differentiatedAt.get(id) ?? madeAt.get(id) : madeAt.get(id);
    if (at) go(at);
    else {
      state.looked = id;
      show();
    }
  }

  let clock = null;

  function play(on) {
    if (clock !== null) clearInterval(clock);
    clock = on ? setInterval(() => go(state.position + 1), 1800) : null;
    byId("play").setAttribute("aria-pressed", String(on));
    byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
    byId("play").title = `${on ? "Pause" : "Play"} (space)`;
  }

  function togglePlay() {
    if (clock === null && state.position === steps.length) go(0);
    play(clock === null);
  }

  // ---- search, colours, keys --------------------------------------------------------------------

  const most = 20;

  function search() {
    const wanted = byId("search").value.trim().toLowerCase();
    const found = wanted ? record.nodes.filter((node) =>
      [node.name, node.label, node.op, gradientName(node.id)].some((text) =>
        text && text.toLowerCase().includes(wanted))) : [];
    const hits = new Set(found.map((node) => node.id));
    for (const [id, { g }] of picture.boxes) g.classList.toggle("found", hits.has(id));
    const list = byId("found");
    list.hidden = !wanted;
    list.replaceChildren(...found.slice(0, most).map((node) => make("li", {},
      button([strong(nameOf(node.id)), ` ${node.label && node.label !== nameOf(node.id)
        ? node.label : node.kind}`], () => {
        closeSearch();
        visit(node.id, inBackward() ? "gradient" : "value");
      }))));
    if (wanted && !found.length) list.append(make("li", { class: "note" }, "Nothing found"));
    if (found.length > most) {
      list.append(make("li", { class: "note" }, `and ${found.length - most} more`));
    }
    byId("found-count").textContent = wanted ? `${found.length} found` : "";
    return found;
  }

  function closeSearch() {
    byId("search").value = "";
    search();
  }

  function setTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme").textContent = theme === "dark" ? "Light colours" : "Dark colours";
  }

  function onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const { target } = event;
    if (target.closest("input, .scroll")) return;
    const moves = { ArrowLeft: state.position - 1, ArrowRight: state.position + 1, Home: 0,
      End: steps.length };
    if (event.key in moves) {
      event.preventDefault();
      go(moves[event.key]);
    } else if (event.key === " " && !target.closest("button, summary, [role=button]")) {
      event.preventDefault();
      togglePlay();
    }
  }

  function begin() {
    document.title = `Backpropagation of ${cost}, step by step`;
    byId("title").textContent = document.title;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    setTheme(dark.matches ? "dark" : "light");
    dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
    byId("theme").addEventListener("click", () =>
      setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
    byId("slider").max = String(steps.length);
    byId("slider").addEventListener("input", () => go(Number(byId("slider").value)));
    const [forward, backward] = byId("phases").children;
    forward.style.flexGrow = String(forwardCount || 0.001);
    backward.style.flexGrow = String(steps.length - forwardCount || 0.001);
    byId("first").addEventListener("click", () => go(0));
    byId("previous").addEventListener("click", () => go(state.position - 1));
    byId("next").addEventListener("click", () => go(state.position + 1));
    byId("last").addEventListener("click", () => go(steps.length));
    byId("play").addEventListener("click", togglePlay);
    byId("smaller").addEventListener("click", () => setZoom(picture.zoom / 1.25));
    byId("larger").addEventListener("click", () => setZoom(picture.zoom * 1.25));
    byId("fit").addEventListener("click", () => fit(0));
    byId("search").addEventListener("input", search);
    byId("search").addEventListener("keydown", (event) => {
      if (event.key === "Escape") closeSearch();
      if (event.key !== "Enter") return;
      const [hit] = search();
      if (!hit) return;
      closeSearch();
      visit(hit.id, inBackward() ? "gradient" : "value");
    });
    document.addEventListener("keydown", onKey);
    buildChecks();
    buildGraph();
    fit(0.8);
    const first = manual && manual.first_wrong !== null
      ? differentiatedAt.get(manual.first_wrong) : 0;
    go(first || 0);
  }

  begin();
})();
