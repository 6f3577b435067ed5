/**
 * Bundles the program for the image: `node scripts/bundle.ts OUTDIR` writes OUTDIR/main.js and one chunk a command, so that a command
 * loads only what it imports, and beside them the one package that is machine code.
 */
import { build } from 'esbuild';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const outdir = process.argv[2];
if (outdir === undefined) {
  console.error('usage: node scripts/bundle.ts OUTDIR');
  process.exit(2);
}
const root = join(import.meta.dirname, '..');

await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts'],
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  // CommonJS packages in an ESM bundle still call require for Node's own modules.
  banner: {
    js: "import { createRequire as createRequireForBundle } from 'node:module'; const require = createRequireForBundle(import.meta.url);",
  },
  external: ['@node-rs/bcrypt'],
  chunkNames: 'chunks/[name]-[hash]',
  logLevel: 'warning',
});
writeFileSync(join(outdir, 'package.json'), '{"type":"module"}\n');

// npm installed the binary of this platform alone, so the copy is right on every architecture.
const scope = 'node_modules/@node-rs';
for (const name of readdirSync(join(root, scope))) {
  cpSync(join(root, scope, name), join(outdir, scope, name), { recursive: true });
}
