// A client of the action API that signs as an application (ApiAppKey, ApiAppSecret): Node, nothing else.
//
// usage: node client.js URL KEY, with the secret in $SECRET, and a JSON object on each line of standard input:
// {"Action": …, "Data": {…}} is posted, {"path": "/tasks/…"} is fetched. Each answer is a line of standard output:
// {"status": …, "body": …}.
"use strict";

const crypto = require("node:crypto");
const http = require("node:http");
const readline = require("node:readline");

const [url, key] = process.argv.slice(2);
const MEDIA_TYPE = "application/json";

// The lines of the signing string: signed headers, method, Accept, Content-Type, Content-MD5, path.
function signed(method, path, body) {
  const date = new Date().toUTCString();
  // Base64 of the hexadecimal digest, over the bytes of the body.
  const md5 = body.length ? Buffer.from(crypto.createHash("md5").update(body).digest("hex")).toString("base64") : "";
  const text = [`x-date: ${date}`, method, MEDIA_TYPE, MEDIA_TYPE, md5, path].join("\n");
  const signature = crypto.createHmac("sha1", process.env.SECRET).update(text, "utf8").digest("base64");
  const headers = {
    Accept: MEDIA_TYPE,
    "Content-Type": MEDIA_TYPE,
    "Content-Length": body.length,
    "x-date": date,
    Authorization: `hmac id="${key}", algorithm="hmac-sha1", headers="x-date", signature="${signature}"`,
  };
  return md5 ? { ...headers, "Content-MD5": md5 } : headers;
}

function send(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(url + path, { method, headers: signed(method, path, body) }, (answer) => {
      const chunks = [];
      answer.on("data", (chunk) => chunks.push(chunk));
      answer.on("end", () => {
        resolve({ status: answer.statusCode, body: JSON.parse(Buffer.concat(chunks).toString("utf8")) });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { path, ...action } = JSON.parse(line);
    const answer = path
      ? await send("GET", path, Buffer.alloc(0))
      : await send("POST", "/record", Buffer.from(JSON.stringify(action), "utf8"));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main();
