// How the page looks: whether its ground is dark, and a sentence for each thing that is wrong.
() => {
  const faults = [];
  const root = document.documentElement;
  const name = (element) => `<${element.tagName.toLowerCase()}> ${element.textContent.trim().slice(0, 40)}`;
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  if (!document.title.trim()) faults.push("no title");
  if (!root.lang) faults.push("no language");
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) faults.push(`${headings} main headings`);
  if (!document.querySelector("main")) faults.push("no main part");
  if (root.scrollWidth > root.clientWidth) faults.push(`scrolls sideways: ${root.scrollWidth} of ${root.clientWidth}`);

  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) faults.push(`two of #${id}`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels.length && !field.ariaLabel) faults.push(`no label: ${field.name || name(field)}`);
  }
  for (const element of document.querySelectorAll("a, button")) {
    if (!element.textContent.trim() && !element.ariaLabel) faults.push(`no name: ${element.outerHTML.slice(0, 80)}`);
  }
  for (const element of document.querySelectorAll("[style], [onclick], [onsubmit], [onchange]")) {
    faults.push(`style or script inside the page: ${name(element)}`);
  }

  // Contrast, as WCAG 2.2 reckons it: 4.5, or 3 for large letters.
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage.includes("gradient")) return null;
      layers.push(rgba(style.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reduceRight((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(element) || !shown(element)) continue;
    seen.add(element);
    const behind = ground(element);
    if (!behind || element.closest("[disabled], [aria-disabled=true], option")) continue;
    const style = getComputedStyle(element);
    const [one, two] = [light(over(rgba(style.color), behind)), light(behind)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) faults.push(`contrast ${contrast.toFixed(1)}: ${name(element)}`);
  }
  return { dark: light(ground(document.body)) < 0.2, faults };
}
