// usage: node client.mjs API TOKEN
// Makes a client of the API's own description with the libraries beside this file,
// calls it by the names that MediaMTX gives its operations, kicks the one RTSP
// session there is, and prints what it saw as JSON.
import { OpenAPIClientAxios } from "openapi-client-axios";
import { Validator } from "@seriousme/openapi-schema-validator";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const text = await (await fetch(`${url}/openapi.json`, { headers })).json();
const valid = await new Validator().validate(structuredClone(text));
const client = await new OpenAPIClientAxios({
  definition: text,
  axiosConfigDefaults: { baseURL: url, headers },
}).init();
const call = async (name, ...args) => (await client[name](...args)).data;
const info = await call("info");
const paths = await call("pathsList", { itemsPerPage: 1000, page: 0 });
const path = await call("pathsGet", { name: paths.items[0].name });
const before = await call("rtspSessionsList");
const one = await call("rtspSessionsGet", before.items[0].id);
const kicked = await call("rtspSessionsKick", one.id);
let after = before;
for (let i = 0; i < 600 && after.items.some((s) => s.id === one.id); i++) {
  after = await call("rtspSessionsList");
}
let refused;
try {
  await call("rtspSessionsKick", one.id);
} catch (e) {
  refused = e.response.status;
}
console.log(JSON.stringify({
  valid, info, path, kicked, refused, paths: paths.items.map((p) => p.name),
  session: one, left: after.items.filter((s) => s.id === one.id).length,
}));
