/**
 * The current request as code. Only what differs from the API's defaults is written; the key is
 * always the variable OPENAI_API_KEY.
 *
 * Each function takes {base, body}: `base` is the API's address without a slash at its end, `body`
 * the request without `stream`.
 */

const json = (value, indent) => JSON.stringify(value, null, indent);
/** One argument of a POSIX shell, whatever it holds. */
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A Python literal for a JSON value: JSON's strings and numbers are Python's as well. */
function python(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([k, v]) => `${json(k)}: ${python(v)}`).join(", ")}}`;
  return json(value);
}

export const SNIPPETS = {
  curl: {
    name: "curl",
    write: ({ base, body }) =>
      `curl -sS ${shell(`${base}/completions`)} \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d ${shell(json(body, 2))}
`,
  },
  python: {
    name: "Python (openai)",
    write: ({ base, body }) =>
      `# pip install openai
from openai import OpenAI

client = OpenAI(base_url=${python(base)})  # reads OPENAI_API_KEY
completion = client.completions.create(
${Object.entries(body).map(([name, value]) => `    ${name}=${python(value)},\n`).join("")})
print(completion.choices[0].text)
`,
  },
  fetch: {
    name: "JavaScript (fetch)",
    write: ({ base, body }) =>
      `const response = await fetch(${json(`${base}/completions`)}, {
  method: "POST",
  headers: {
    "Authorization": \`Bearer \${process.env.OPENAI_API_KEY}\`,
    "Content-Type": "application/json",
  },
  body: JSON.stringify(${json(body, 2).replaceAll("\n", "\n  ")}),
});
if (!response.ok) throw new Error(await response.text());
const completion = await response.json();
console.log(completion.choices[0].text);
`,
  },
  node: {
    name: "JavaScript (openai)",
    write: ({ base, body }) =>
      `// npm install openai
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${json(base)} }); // reads OPENAI_API_KEY
const completion = await client.completions.create(${json(body, 2)});
console.log(completion.choices[0].text);
`,
  },
  llm: {
    name: "llm",
    write: ({ base, body }) =>
      `# Once, in extra-openai-models.yaml in the folder that "dirname $(llm logs path)" names:
#   - model_id: openaisle
#     model_name: ${body.model}
#     api_base: ${base}
#     completion: true
llm keys set openai --value "$OPENAI_API_KEY"
llm -m openaisle${["max_tokens", "temperature", "top_p", "seed"].filter((name) => name in body).map((name) => ` -o ${name} ${body[name]}`).join("")} ${shell(body.prompt)}
`,
  },
  lm_eval: {
    name: "lm-evaluation-harness",
    write: ({ base, body }) =>
      `# pip install "lm-eval[api]". The tokenizer is a folder or a name on the Hub.
lm_eval --model local-completions --tasks lambada_openai \\
  --model_args ${shell(`model=${body.model},base_url=${base}/completions,num_concurrent=8,tokenizer=${body.model}`)}
`,
  },
};
