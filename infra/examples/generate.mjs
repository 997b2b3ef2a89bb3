// The types of a job for TypeScript, from the JSON Schema whose path is the argument, to the standard output.
import { readFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const schema = JSON.parse(readFileSync(process.argv[2], "utf8"), (_, value) => {
  if (Array.isArray(value?.prefixItems)) {
    // The generator knows tuples by their older name.
    const { prefixItems, items, ...rest } = value;
    return { ...rest, items: prefixItems, additionalItems: items, maxItems: prefixItems.length };
  }
  return value;
});
schema.title = "FlowJob";
const bannerComment = "// Made from flow-job.v1.json by generate.mjs; a test compares them.";
process.stdout.write(await compile(schema, "FlowJob", { bannerComment, additionalProperties: false, ignoreMinAndMaxItems: true, printWidth: 120 }));
