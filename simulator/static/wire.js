// The wire log: every request between the house and its partners.

import { element, post } from "./api.js";

const KEPT = 300;
const MPESA = ["stk", "stk_query", "b2c", "b2c_timeout", "status", "status_timeout", "oauth", "c2b"];

export function show(list, lines) {
  const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 4;
  list.append(...lines.map(row));
  while (list.children.length > KEPT) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function row(line) {
  const item = element("li", MPESA.includes(line.kind) ? "mpesa" : "");
  const button = element("button", "line");
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  const way = element("span", "way");
  way.append(element("b", "", line.sender), ` → ${line.receiver}`);
  button.append(
    element("span", "at", line.at),
    way,
    element("span", "kind", line.kind),
    element("span", "path", `${line.method} ${line.path}  ${summary(line)}`),
    element("span", `s${Math.floor(line.status / 100)}`, line.status ? String(line.status) : "none"),
    element("span", "ms", `${line.millis} ms`),
  );
  button.addEventListener("click", () => toggle(item, button, line));
  item.append(button);
  return item;
}

/** The part of a line that says most. */
function summary(line) {
  if (line.kind === "ussd") return JSON.stringify(line.request.match(/(?:^|&)text=([^]*)$/)?.[1] ?? "");
  if (line.kind === "sms_in") return JSON.stringify(line.request.match(/&text=([^]*?)&date=/)?.[1] ?? "");
  if (line.kind === "sms") return JSON.stringify(line.request.match(/&message=([^]*?)&bulkSMSMode/)?.[1] ?? "");
  const code = line.request.match(/"ResultCode": "?(\w+)/)?.[1];
  if (code !== undefined) return `result ${code}`;
  const amount = line.request.match(/"Amount": "?(\d+)/)?.[1];
  if (amount !== undefined) return `KES ${amount}`;
  return line.request.match(/status=(\w+)/)?.[1] ?? "";
}

function toggle(item, button, line) {
  const open = item.querySelector(".inside");
  button.setAttribute("aria-expanded", String(!open));
  if (open) return open.remove();
  const inside = element("div", "inside");
  inside.append(
    element("b", "", "asked    "), pretty(line.request), "\n",
    element("b", "", "answered "), pretty(line.response) || "nothing",
  );
  if (line.callback) inside.append("\n", again(line));
  item.append(inside);
  return item.scrollIntoView({ block: "nearest" });
}

function again(line) {
  const button = element("button", "again", "Send this callback again");
  button.type = "button";
  button.addEventListener("click", () => post(`/callbacks/${line.callback}/replay`));
  return button;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
