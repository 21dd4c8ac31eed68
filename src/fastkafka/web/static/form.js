// A form from a JSON Schema, and JSON text from what was filled in.
//
// What is typed stays text: numbers go out with the digits that were typed, and the
// server says what does not fit.

import { isJson, isNumber, members, unquoted } from "./json.js";

const DEEPEST = 3;

/**
 * @typedef {{path: string[], name: string, kind: "text" | "number" | "boolean" | "choice" |
 *   "json", input: string, type: string, required: boolean, nullable: boolean,
 *   choices: string[], help: string, secret: boolean}} Field
 */

/**
 * The fields of a form; null when the schema is no object, so that only JSON will do.
 * @returns {Field[] | null}
 */
export function fieldsOf(schema) {
  const root = resolved(schema, schema);
  return root.properties ? objectFields(root, schema, []) : null;
}

function objectFields(object, root, path) {
  const required = new Set(object.required || []);
  return Object.entries(object.properties).flatMap(([name, property]) => {
    const own = [...path, name];
    const { schema, nullable } = withoutNull(property, root);
    const help = property.description || schema.description || "";
    if (schema.properties && own.length < DEEPEST && !nullable) return objectFields(schema, root, own);
    return [{ ...kindOf(schema), path: own, name: own.join("."), required: required.has(name), nullable, help }];
  });
}

function kindOf(schema) {
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type || "any";
  const said = schema.format ? `${type} (${schema.format})` : type;
  const base = { type: said, choices: [], input: "text", secret: false };
  if (schema.enum || schema.const !== undefined) {
    const values = schema.enum || [schema.const];
    return { ...base, kind: "choice", choices: values.map((v) => JSON.stringify(v)) };
  }
  if (type === "boolean") return { ...base, kind: "choice", choices: ["true", "false"] };
  if (type === "integer" || type === "number") return { ...base, kind: "number" };
  if (type === "string") {
    const input = { date: "date", email: "email", uri: "url" }[schema.format] || "text";
    return { ...base, kind: "text", input, secret: schema.format === "password" };
  }
  if (schema.anyOf || schema.oneOf) return { ...base, kind: "json", type: choicesText(schema) };
  return { ...base, kind: "json" };
}

const choicesText = (schema) =>
  (schema.anyOf || schema.oneOf).map((s) => s.type || s.title || s.$ref?.split("/").pop() || "any").join(" or ");

/** Follow references, and what pydantic puts round them. */
function resolved(schema, root, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 8) return {};
  if (schema.$ref) {
    const path = schema.$ref.replace(/^#\//, "").split("/");
    const target = path.reduce((at, part) => (at == null || !Object.hasOwn(at, part) ? null : at[part]), root);
    return resolved(target, root, depth + 1);
  }
  if (schema.allOf?.length === 1) {
    return { ...resolved(schema.allOf[0], root, depth + 1), ...without(schema, "allOf") };
  }
  return schema;
}

function without(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

function withoutNull(property, root) {
  const schema = resolved(property, root);
  const choices = schema.anyOf || schema.oneOf;
  if (!choices) return { schema, nullable: false };
  const others = choices.filter((choice) => choice.type !== "null");
  const nullable = others.length < choices.length;
  // A number that may be written as a string, as `Decimal` may, is a number.
  const numeric = others.find((choice) => choice.type === "number" || choice.type === "integer");
  if (numeric && others.every((c) => c === numeric || c.type === "string")) {
    return { schema: numeric, nullable };
  }
  return others.length === 1 ? { schema: resolved(others[0], root), nullable } : { schema, nullable };
}

/**
 * What the fields hold for a message that is given as text.
 * @param {Field[]} fields
 * @param {string | null} text
 * @returns {Record<string, string>}
 */
export function filled(fields, text) {
  const values = Object.create(null);
  for (const field of fields) {
    let raw = text ?? undefined;
    for (const part of field.path) raw = members(raw ?? null)?.get(part);
    values[field.name] = raw === undefined ? "" : shown(field, raw);
  }
  return values;
}

function shown(field, raw) {
  if (raw === "null" && field.nullable) return "";
  // Its lines stand as deep as they did in the whole message.
  if (field.kind === "json") return raw.replaceAll(`\n${"  ".repeat(field.path.length)}`, "\n");
  return field.kind === "choice" ? raw : unquoted(raw);
}

/**
 * The message as JSON text.
 * @param {Field[]} fields
 * @param {Record<string, string>} values
 * @returns {{text: string, errors: {loc: string[], msg: string}[]}}
 */
export function written(fields, values) {
  const errors = [];
  const tree = new Map();
  for (const field of fields) {
    const raw = literal(field, values[field.name] ?? "", errors);
    if (raw === undefined) continue;
    let at = tree;
    for (const part of field.path.slice(0, -1)) {
      if (!at.has(part)) at.set(part, new Map());
      at = at.get(part);
    }
    at.set(field.path.at(-1), raw);
  }
  return { text: objectText(tree, ""), errors };
}

function literal(field, value, errors) {
  if (value === "") {
    if (field.nullable && field.required) return "null";
    return field.required && field.kind === "text" ? '""' : undefined;
  }
  if (field.kind === "choice") return value;
  if (field.kind === "number") return isNumber(value.trim()) ? value.trim() : JSON.stringify(value);
  if (field.kind === "json") {
    if (!isJson(value)) errors.push({ loc: field.path, msg: "This is not JSON." });
    return value;
  }
  return JSON.stringify(value);
}

function objectText(tree, indent) {
  const inner = `${indent}  `;
  const lines = [...tree].map(([name, value]) => {
    const text = value instanceof Map ? objectText(value, inner) : value;
    return `${inner}${JSON.stringify(name)}: ${text}`;
  });
  return lines.length ? `{\n${lines.join(",\n")}\n${indent}}` : "{}";
}

/**
 * Put what the server says beside the fields that it is about.
 * @returns {{beside: Record<string, string>, rest: string[]}}
 */
export function placed(fields, errors) {
  const beside = Object.create(null);
  const rest = [];
  for (const { loc, msg } of errors) {
    const parts = loc.map(String);
    const found = fields
      .filter((f) => f.path.every((part, i) => parts[i] === part))
      .sort((a, b) => b.path.length - a.path.length)[0];
    const inner = found ? parts.slice(found.path.length).join(".") : parts.join(".");
    const text = inner ? `${inner}: ${msg}` : msg;
    if (!found) rest.push(text);
    else beside[found.name] = beside[found.name] ? `${beside[found.name]}; ${text}` : text;
  }
  return { beside, rest };
}
