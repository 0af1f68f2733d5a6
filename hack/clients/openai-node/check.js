#!/usr/bin/env node
// The openai package for Node: models, whole and streamed answers, and its errors.
import assert from "node:assert";
import OpenAI, { NotFoundError } from "openai";

const model = process.env.MODEL;
const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY

const ids = [];
for await (const found of client.models.list()) ids.push(found.id);
console.log("models:", ids, (await client.models.retrieve(model)).id);

const wanted = { model, prompt: "Once upon a time", max_tokens: 24, temperature: 0 };
const answer = await client.completions.create(wanted);
console.log("whole: ", answer.choices[0].text);

let streamed = "";
for await (const chunk of await client.completions.create({ ...wanted, stream: true })) {
  streamed += chunk.choices[0].text;
}
console.log("stream:", streamed);
assert.equal(streamed, answer.choices[0].text);

await assert.rejects(client.completions.create({ ...wanted, model: "no/such-model" }), (error) => {
  console.log("error: ", error.code, error.param, error.requestID);
  return error instanceof NotFoundError && error.code === "model_not_found";
});
