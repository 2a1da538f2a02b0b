// usage: node client.mjs API TOKEN MEDIAMTX
// Makes a client of the description that MediaMTX publishes of its API, the YAML file
// MEDIAMTX, with the libraries beside this file; calls its operations, holds each
// answer against their schemas, kicks the one RTSP session there is, and prints what
// it saw as JSON. It also has a validator read the description at API.
import { readFileSync } from "node:fs";
import { OpenAPIClientAxios } from "openapi-client-axios";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv } from "ajv";
import { load } from "js-yaml";

const [url, token, file] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const text = await (await fetch(`${url}/openapi.json`, { headers })).json();
const valid = await new Validator().validate(text);

const theirs = load(readFileSync(file, "utf8"));
const client = await new OpenAPIClientAxios({
  definition: structuredClone(theirs),
  axiosConfigDefaults: { baseURL: url, headers },
}).init();

// OpenAPI 3.0 says "nullable" of references too, JSON Schema does not.
const plain = (v) => {
  if (typeof v !== "object" || v === null) return v;
  if (Array.isArray(v)) return v.map(plain);
  if (v.$ref && v.nullable) return { anyOf: [{ $ref: v.$ref }, { type: "null" }] };
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
};
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
ajv.addSchema({ $id: "theirs", ...plain({ components: theirs.components }) });
const operations = Object.fromEntries(
  Object.values(theirs.paths).flatMap(Object.values).map((o) => [o.operationId, o]),
);
const wrong = [];
const checked = {};
const call = async (name, ...args) => {
  const { data, status } = await client[name](...args);
  const schema = operations[name].responses[status]?.content?.["application/json"]?.schema;
  if (schema) {
    const ok = ajv.compile({ $ref: `theirs${schema.$ref}` });
    if (!ok(data)) wrong.push({ name, errors: ok.errors });
    checked[name] = true;
  }
  return data;
};
const paths = await call("pathsList", { itemsPerPage: 1000, page: 0 });
const path = await call("pathsGet", { name: paths.items[0].name });
await call("configPathsList");
await call("configGlobalGet");
await call("hlsMuxersList");
const before = await call("rtspSessionsList");
const one = await call("rtspSessionsGet", before.items[0].id);
const status = (await client.rtspSessionsKick(one.id)).status;
let after = before;
for (let i = 0; i < 600 && after.items.some((s) => s.id === one.id); i++) {
  after = await call("rtspSessionsList");
}
let refused;
try {
  await client.rtspSessionsKick(one.id);
} catch (e) {
  refused = e.response.status;
}
console.log(JSON.stringify({
  valid, path, status, refused, wrong, checked: Object.keys(checked), paths: paths.items.map((p) => p.name),
  session: one, left: after.items.filter((s) => s.id === one.id).length,
}));
