// Brings the libraries that the console uses from the packages in node_modules, which npm checked against package-lock.json, into
// host/api/console/vendor, or, with --check, compares what is there with them.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, 'node_modules');
const vendor = join(here, '../../host/api/console/vendor');

/** What is taken from each package; a licence is kept beside the code. */
const PACKAGES = [
  { name: 'preact', files: { 'dist/preact.mjs': 'preact.mjs', 'hooks/dist/hooks.mjs': 'hooks.mjs', LICENSE: 'LICENSE.txt' } },
  { name: '@preact/signals-core', files: { 'dist/signals-core.mjs': 'signals-core.mjs', LICENSE: 'LICENSE.txt' } },
  { name: '@preact/signals', files: { 'dist/signals.mjs': 'signals.mjs', LICENSE: 'LICENSE.txt' } },
  { name: 'htm', files: { 'dist/htm.mjs': 'htm.mjs', LICENSE: 'LICENSE.txt' } },
  { name: 'uplot', files: { 'dist/uPlot.esm.js': 'uplot.mjs', 'dist/uPlot.min.css': 'uplot.css', LICENSE: 'LICENSE.txt' } },
];

/** @type {Map<string, Buffer>} */
const wanted = new Map();
const manifest = [];
for (const { name, files } of PACKAGES) {
  const { version, license } = JSON.parse(readFileSync(join(modules, name, 'package.json'), 'utf8'));
  const folder = `${name.replace('@', '').replace('/', '-')}-${version}`;
  const listed = [];
  for (const [from, to] of Object.entries(files)) {
    const bytes = readFileSync(join(modules, name, from));
    wanted.set(`${folder}/${to}`, bytes);
    listed.push({ file: `${folder}/${to}`, from, sha256: createHash('sha256').update(bytes).digest('hex') });
  }
  manifest.push({ package: name, version, licence: license, files: listed });
}
wanted.set('manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`));

if (process.argv.includes('--check')) {
  const there = readdirSync(vendor, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(vendor.length + 1));
  const wrong = [
    ...there.filter((file) => !wanted.has(file)).map((file) => `${file} is in no package`),
    ...[...wanted].flatMap(([file, bytes]) => {
      if (!existsSync(join(vendor, file))) return [`${file} is missing`];
      return bytes.equals(readFileSync(join(vendor, file))) ? [] : [`${file} is not what its package has`];
    }),
  ];
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) {
    console.error('the vendored libraries are not those of package-lock.json: `make console-vendor` brings them');
    process.exit(1);
  }
} else {
  rmSync(vendor, { recursive: true, force: true });
  for (const [file, bytes] of wanted) {
    mkdirSync(dirname(join(vendor, file)), { recursive: true });
    writeFileSync(join(vendor, file), bytes);
  }
}
