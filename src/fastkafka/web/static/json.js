// JSON as text. Nothing is parsed to numbers, so that 64-bit ones keep their digits.

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g;

/**
 * The members of an object, by name, as they are written.
 * @param {string | null} text
 * @returns {Map<string, string> | null} null when the text is no object
 */
export function members(text) {
  if (text == null || !/^\s*\{/.test(text)) return null;
  const found = new Map();
  let depth = 0;
  let name = null;
  let start = -1;
  const finish = (end) => {
    if (name !== null && start >= 0) found.set(name, text.slice(start, end).trim());
    name = null;
    start = -1;
  };
  for (const match of text.matchAll(TOKENS)) {
    const token = match[0];
    if (depth === 1 && name === null && token[0] === '"') name = unquoted(token);
    else if (depth === 1 && token === ":" && start < 0) start = match.index + 1;
    else if (depth === 1 && token === ",") finish(match.index);
    else if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") {
      depth -= 1;
      if (depth === 0) {
        finish(match.index);
        return found;
      }
    }
  }
  return found; // it was cut
}

/** What a token says: a string without its quotes, anything else as it is written. */
export function unquoted(token) {
  if (token === undefined || token[0] !== '"') return token;
  try {
    return JSON.parse(token);
  } catch {
    return token;
  }
}

export const isNumber = (text) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);

export function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Pieces of a JSON text, each with what it is: "name", "string", "literal" or "". */
export function* coloured(text) {
  const pattern = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d[\d.eE+-]*|\b(?:true|false|null)\b/g;
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) yield ["", text.slice(end, match.index)];
    if (match[1]) {
      yield [match[2] ? "name" : "string", match[1]];
      if (match[2]) yield ["", match[2]];
    } else yield ["literal", match[0]];
    end = match.index + match[0].length;
  }
  if (end < text.length) yield ["", text.slice(end)];
}
