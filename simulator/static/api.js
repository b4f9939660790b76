// The control API, as the page speaks it.

export async function ask(method, path, body) {
  const answer = await fetch(`/control${path}`, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error || `${answer.status}`);
  return told;
}

export const post = (path, body = {}) => ask("POST", path, body);

/** An element with text in it; text is never markup here. */
export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export const money = (shillings) => `KES ${Number(shillings).toLocaleString("en-KE")}`;
