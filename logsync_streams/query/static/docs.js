// The OpenAPI document for people, without anything from elsewhere.

import { element } from "./text.js";

const description = await (await fetch("openapi.json")).json();
const main = document.getElementById("docs");

const named = (schema) => schema?.$ref?.split("/").pop();

function typeOf(schema) {
  if (!schema) return "";
  if (named(schema)) return named(schema);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items) || "any"}[]`;
  return [schema.type].flat().join(" | ");
}

function bounds(schema) {
  const found = [];
  if (schema.default !== undefined) found.push(`default ${schema.default}`);
  if (schema.minimum !== undefined && schema.maximum !== undefined) found.push(`${schema.minimum}–${schema.maximum}`);
  return found.join(", ");
}

function table(rows) {
  const made = rows.map(([name, type, text]) =>
    element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)), element("td", {}, type), element("td", {}, text)),
  );
  return element("table", {}, element("tbody", {}, ...made));
}

function operation(path, method, { summary, parameters = [], requestBody, responses, operationId }) {
  const rows = parameters.map(({ name, schema, description = "" }) => {
    const limits = bounds(schema);
    return [name, typeOf(schema), limits ? `${description} (${limits})` : description];
  });
  const answers = Object.entries(responses).map(([status, { content = {}, description }]) => {
    const [kind, { schema } = {}] = Object.entries(content)[0] ?? [""];
    return [status, named(schema) ?? kind, description];
  });
  const parts = [
    element("h2", {}, element("span", { className: `method ${method}` }, method.toUpperCase()), element("code", {}, path)),
    element("p", {}, summary),
  ];
  if (rows.length) parts.push(element("h3", {}, "Parameters"), table(rows));
  if (requestBody) {
    const [kind, { schema }] = Object.entries(requestBody.content)[0];
    parts.push(element("h3", {}, "Body"), table([[kind, typeOf(schema), ""]]));
  }
  parts.push(element("h3", {}, "Answers"), table(answers));
  if (method === "get" && !path.includes("{")) parts.push(element("p", {}, element("a", { href: path.slice(1) }, "Try it")));
  return element("section", { id: operationId }, ...parts);
}

function schemaOf([name, schema]) {
  const rows = Object.entries(schema.properties ?? {}).map(([property, inner]) => {
    const optional = schema.required?.includes(property) ? "" : " (may be missing)";
    return [property, typeOf(inner), `${inner.description ?? ""}${optional}`];
  });
  const text = schema.description ? [element("p", {}, schema.description)] : [];
  return element("section", { id: `schema-${name}` }, element("h2", {}, element("code", {}, name)), ...text, table(rows));
}

document.getElementById("version").textContent = `${description.info.title} ${description.info.version}`;
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, inner]) => operation(path, method, inner)),
);
main.replaceChildren(
  element("p", {}, description.info.description, " The document itself: ", element("a", { href: "openapi.json" }, "openapi.json"), "."),
  ...operations,
  element("h1", {}, "Schemas"),
  ...Object.entries(description.components.schemas).map(schemaOf),
);
